"""A project with a small service, for each engine."""

from pathlib import Path

import pytest

from tests.engines import (
    Engine,
    docker_engine,
    engine,
    podman,
    podman_engine,
    registry,
    short_folder,
)
from tests.plugins.container.container_projects import Project, container_project

__all__ = ["docker_engine", "engine", "podman", "podman_engine", "registry", "short_folder"]


@pytest.fixture
def project(tmp_path: Path, engine: Engine) -> Project:
    return container_project(tmp_path, engine)

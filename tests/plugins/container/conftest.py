"""A project with a small service, for each engine."""

from pathlib import Path

import pytest

from tests.engines import Engine
from tests.plugins.container.container_projects import Project, container_project


@pytest.fixture
def project(tmp_path: Path, engine: Engine) -> Project:
    return container_project(tmp_path, engine)

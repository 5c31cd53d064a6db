"""Projects whose endpoints are stopped afterwards."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlpipe_endpoint import processes
from tests.plugins.endpoint.endpoint_project import Project


@contextmanager
def _projects(home: Path) -> Iterator[Callable[[str], Project]]:
    """Make projects in a folder, and stop all their endpoints afterwards."""
    projects: list[Project] = []

    def make(name: str) -> Project:
        root = home / name
        (root / ".mlpipe").mkdir(parents=True)
        projects.append(Project(root))
        return projects[-1]

    try:
        yield make
    finally:
        for project in projects:
            for name in project.backend.names():
                server = project.backend.folder(name).server()
                project.backend.stop(name)
                assert server is None or processes.identity(server.pid) is None


@pytest.fixture
def new_project(tmp_path: Path) -> Iterator[Callable[[str], Project]]:
    with _projects(tmp_path) as make:
        yield make


@pytest.fixture
def project(new_project: Callable[[str], Project]) -> Project:
    return new_project("project")


@pytest.fixture
def pair(project: Project) -> dict[str, Path]:
    return project.pair()


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project whose endpoint runs already, for tests that leave it as it is."""
    with _projects(tmp_path_factory.mktemp("lasting")) as make:
        project = make("project")
        project.deploy(project.pair(), traffic={"champion": 90, "challenger": 10})
        yield project

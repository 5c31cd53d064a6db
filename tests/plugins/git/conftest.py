"""A repository, and a project that checks it out."""

from pathlib import Path

import pytest

from tests.plugins.git.git_projects import Project, Repo, new_repo


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    """A repository of three commits: two versions, and a feature after them."""
    made = new_repo(tmp_path / "home" / "service")
    made.write({"app/main.py": "one", "app/run.sh": "#!/bin/sh\n", "README.md": "read"})
    (made.path / "app" / "run.sh").chmod(0o755)
    made.commit("Begin")
    made.tag("v1.0.0")
    made.commit("fix: two", app__py="x")
    made.tag("v1.0.1")
    made.commit("feat: three", feature__py="y")
    return made


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    (root / ".mlpipe").mkdir(parents=True)
    return Project(root)

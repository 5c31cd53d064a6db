"""A project to check."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.checks.check_projects import CLEAN, Checked, Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose sources have no fault yet."""
    made = Project(tmp_path / "project")
    (made.root / ".mlpipe").mkdir(parents=True)
    made.write(CLEAN)
    return made


@pytest.fixture
def check(project: Project, capsys: pytest.CaptureFixture[str]) -> Callable[..., Checked]:
    """Check the project's sources."""

    def run(**settings: Any) -> Checked:
        return project.check(capsys, **settings)

    return run

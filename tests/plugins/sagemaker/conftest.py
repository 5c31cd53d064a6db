"""A project folder to train in."""

from pathlib import Path

import pytest

from tests.plugins.sagemaker.training_project import Project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return Project(root)

"""A project folder to train in, and the targets to train on."""

from pathlib import Path

import pytest

from mlpipe import Target
from mlpipe_awstest import Aws
from tests.plugins.sagemaker.training_project import Project, aws_target


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return Project(root)


@pytest.fixture(params=["local", "aws"])
def target(request: pytest.FixtureRequest) -> Target:
    """Each type of target; what is true of one must be true of the other."""
    if request.param == "local":
        return Target()
    request.getfixturevalue("cloud")
    return aws_target()


@pytest.fixture(scope="session")
def torch_python(repository: Path) -> str:
    """An interpreter that has PyTorch."""
    python = repository / ".venv-torch" / "bin" / "python"
    if not python.exists():
        pytest.skip("PyTorch is not here: make torch")
    return str(python)


@pytest.fixture
def torch_image(cloud: Aws, torch_python: str) -> Aws:
    """The emulated AWS, where all images have PyTorch."""
    cloud.image("*", python=torch_python)
    return cloud

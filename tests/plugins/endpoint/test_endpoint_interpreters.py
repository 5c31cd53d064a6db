"""Models that run in interpreters of their own."""

import hashlib
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import numpy as np
import pytest

import mlpipe_endpoint
from mlpipe import Action, Artifact, StageResult
from mlpipe.errors import StageError
from mlpipe.testing import make_stage
from mlpipe_endpoint.config import EndpointConfig
from tests.plugins.endpoint.endpoint_project import Project, request

#: Answers where it runs, and what that place lacks.
SCRIPT = """
    import importlib.util
    import sys

    def model_fn(folder):
        return sys.prefix

    def predict_fn(rows, model):
        missing = [n for n in ("pydantic", "pluggy", "orjson") if not importlib.util.find_spec(n)]
        return [model, missing, rows.tolist()]
"""

TO_CHALLENGER = {"X-Amzn-SageMaker-Target-Variant": "challenger"}


@pytest.fixture
def bare(project: Project) -> Path:
    """An environment in the project that holds numpy, and nothing else."""
    folder = project.root / "envs" / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    ours = Path(np.__file__).parent.parent
    theirs = next(folder.glob("lib/python3*/site-packages"))
    for name in ("numpy", "numpy.libs"):
        if (ours / name).is_dir():
            (theirs / name).symlink_to(ours / name)
    return folder


def test_a_variant_runs_in_the_interpreter_that_the_recipe_names(
    project: Project, bare: Path
) -> None:
    models = {"champion": project.model("red", SCRIPT), "challenger": project.model("blue", SCRIPT)}
    traffic = {"champion": 1, "challenger": 1}
    python = {"challenger": "envs/bare/bin/python"}
    settings = {"traffic": traffic, "python": python, "spares": 0}
    port = int(project.deploy(models, **settings).values["port"])
    answers = {
        variant: request(port, headers={"X-Amzn-SageMaker-Target-Variant": variant}).json
        for variant in traffic
    }
    assert answers == {
        "champion": [sys.prefix, [], [[1, 2]]],
        "challenger": [str(bare), ["pydantic", "pluggy", "orjson"], [[1, 2]]],
    }
    wrong = request(port, body=b"[[NaN]]", headers=TO_CHALLENGER)
    assert (wrong.status, wrong.json["Message"]) == (
        400,
        "row 1, column 1 is nan, no finite number",
    )
    assert project.preview(models, **settings) == []
    assert project.preview(models, traffic=traffic, spares=0) == [
        Action("update", "python of challenger", "envs/bare/bin/python → own")
    ]
    project.deploy(models, traffic=traffic, spares=0)
    moved = request(port, headers=TO_CHALLENGER).json
    assert moved[0] == sys.prefix


def saved(folder: Path, *more: str) -> Path:
    """Save a model that answers where it runs, with what it needs to."""

    class Place(mlflow.pyfunc.PythonModel):  # type: ignore[name-defined, misc]
        def predict(self, context: object, model_input: Any) -> list[str]:
            import sys

            import tiny_rules  # type: ignore[import-not-found]

            return [f"{sys.prefix} {tiny_rules.NAME}" for _ in model_input]

    needed = [f"{name}=={version(name)}" for name in ("mlflow-skinny", "numpy", "pandas")]
    mlflow.pyfunc.save_model(
        folder, python_model=Place(), pip_requirements=[*needed, "cloudpickle", *more]
    )
    return folder


def wheel(folder: Path) -> Path:
    """Make a wheel that no index has."""
    path = folder / "tiny_rules-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("tiny_rules.py", 'NAME = "tiny"\n')
        info = "tiny_rules-1.0.dist-info"
        made.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-rules\nVersion: 1.0\n")
        made.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        made.writestr(f"{info}/RECORD", "")
    return path


def deploy(project: Project, folder: Path, **settings: Any) -> StageResult:
    digest = "sha256:" + hashlib.sha256(str(folder).encode()).hexdigest()
    model = Artifact("champion", digest, str(folder))
    stage = make_stage(project.root, "deploy", inputs={"champion": model}).stage
    config = EndpointConfig(endpoint="churn", python={"champion": "model"}, **settings)
    return mlpipe_endpoint.deploy(config=config, stage=stage)


@pytest.mark.slow
def test_a_model_runs_in_an_environment_of_its_own_requirements(
    project: Project, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "saved", wheel(tmp_path).as_uri())
    port = int(deploy(project, folder, spares=0).values["port"])
    found = request(port, body=b"[[1, 2]]")
    assert found.status == 200, found.body
    (answer,) = found.json
    place, _, name = answer.partition(" ")
    environments = project.root / ".mlpipe" / "environments"
    assert (Path(place).parent, name) == (environments, "tiny")
    made = Path(place).stat().st_mtime_ns
    project.backend.stop("churn")
    deploy(project, folder, spares=0)
    assert Path(place).stat().st_mtime_ns == made, "it is made once"
    assert request(port, body=b"[[1, 2]]").json == [answer]


def test_an_environment_that_cannot_be_made_changes_nothing(
    project: Project, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "saved")
    (folder / "requirements.txt").write_text("./nowhere-1.0-py3-none-any.whl\n")
    with pytest.raises(StageError, match="the environment cannot be made") as caught:
        deploy(project, folder)
    assert "nowhere" in caught.value.what
    (folder / "python_env.yaml").write_text("python: 3.99.1\n")
    with pytest.raises(StageError, match=r"3\.99"):
        deploy(project, folder.rename(tmp_path / "older"))
    (tmp_path / "older" / "requirements.txt").unlink()
    with pytest.raises(StageError, match="its model says no requirements"):
        deploy(project, (tmp_path / "older").rename(tmp_path / "without"))
    assert project.backend.describe("churn") is None


@pytest.mark.parametrize(
    ("python", "said"),
    [
        ({"champion": "envs/none/bin/python"}, "cannot be started: No such file or directory"),
        ({"other": "python3"}, 'python names "other", which is not an input'),
    ],
)
def test_an_interpreter_that_cannot_be(project: Project, python: dict[str, str], said: str) -> None:
    with pytest.raises(StageError, match=said):
        project.deploy({"champion": project.model("red")}, python=python)

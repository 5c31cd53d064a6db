"""Models that run in interpreters of their own."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlpipe import Action
from mlpipe.errors import StageError
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

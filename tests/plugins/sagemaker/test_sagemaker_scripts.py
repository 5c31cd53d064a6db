"""Scripts in the form of SageMaker's own examples: trained as they are, then invoked here.

They are in the folder ``scripts`` and know nothing of mlpipe. Each is trained on this machine and
at the emulated SageMaker.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mlpipe_scriptmode
from mlpipe import Target
from mlpipe_awstest import Aws
from tests.plugins.sagemaker.training_project import Project, Training, labelled_tables

SCRIPTS = Path(__file__).parent / "scripts"
#: Loads a model with PyTorch's interpreter, and answers a request with it.
INVOKE = """
import sys, mlpipe_scriptmode
from pathlib import Path
model = mlpipe_scriptmode.load(Path(sys.argv[1]))
answer, kind = model.invoke(sys.stdin.buffer.read(), "application/json", "application/json")
print(kind, answer.decode())
"""


def train(project: Project, name: str, **settings: Any) -> Training:
    text = (SCRIPTS / name).read_text()
    tables = labelled_tables(project.root)
    return project.train(text, script=name, inputs=tables, **settings)


def unpacked(training: Training, into: Path) -> Path:
    return mlpipe_scriptmode.unpack(training.output("model"), into)


def rows_of(project: Project) -> tuple[Any, Any]:
    table = np.loadtxt(project.root / "validation.csv", delimiter=",")
    return table[:, 1:], table[:, 0]


def test_sklearn(project: Project, target: Target, tmp_path: Path) -> None:
    training = train(
        project,
        "sklearn_train.py",
        target=target,
        hyperparameters={"max_leaf_nodes": 8, "random-state": 3},
        metrics={"validation:accuracy": "validation-accuracy:(.*?);"},
    )
    accuracy = training.result.metrics["validation:accuracy"]
    assert accuracy > 0.85
    assert training.output("output").is_file()

    model = mlpipe_scriptmode.load(unpacked(training, tmp_path / "model"))
    rows, labels = rows_of(project)
    body = json.dumps(rows.tolist()).encode()
    answer, _ = model.invoke(body, "application/json", "application/json")
    assert np.mean(np.array(json.loads(answer)) == labels) == pytest.approx(accuracy)


def test_xgboost(project: Project, target: Target, tmp_path: Path) -> None:
    training = train(
        project,
        "xgboost_train.py",
        target=target,
        hyperparameters={
            "max_depth": 3,
            "eta": 0.3,
            "objective": "binary:logistic",
            "num_round": 12,
            "verbose": True,
        },
        metrics={"validation:error": r"validation-error:([0-9.]+)"},
    )
    error = training.result.metrics["validation:error"]
    assert error < 0.15
    assert len(training.probe.payloads("metrics")) == 12  # one for each round

    model = mlpipe_scriptmode.load(unpacked(training, tmp_path / "model"))
    rows, labels = rows_of(project)
    body = "\n".join(",".join(map(str, row)) for row in rows).encode()
    answer, kind = model.invoke(body, "text/csv", "text/csv")
    assert kind == "text/csv"
    scores = np.array(answer.decode().split(","), dtype=float)
    assert np.mean((scores > 0.5) != labels) == pytest.approx(error, abs=1e-4)


@pytest.mark.parametrize("processes", [1, 2])
def test_pytorch(
    processes: int,
    project: Project,
    target: Target,
    torch_image: Aws,
    torch_python: str,
    tmp_path: Path,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    training = train(
        project,
        "torch_train.py",
        target=target,
        python=torch_python,
        hyperparameters={"epochs": 6, "lr": 0.02},
        metrics={"loss": r"Loss: ([0-9.]+)", "accuracy": r"Accuracy: ([0-9.]+)"},
        distribution={"type": "torchrun", "processes": processes} if processes > 1 else None,
    )
    accuracy = training.result.metrics["accuracy"]
    assert accuracy > 0.85
    assert ("rank 1 of 2" in capsys.readouterr().out) == (processes > 1)

    rows, labels = rows_of(project)
    places = [str(repository / "framework"), str(repository / "plugins" / "scriptmode")]
    done = subprocess.run(
        [torch_python, "-c", INVOKE, str(unpacked(training, tmp_path / "model"))],
        input=json.dumps(rows.tolist()),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )
    kind, _, answer = done.stdout.partition(" ")
    assert kind == "application/json"
    assert np.mean(np.array(json.loads(answer)) == labels) == pytest.approx(accuracy, abs=1e-4)


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_scripts_know_nothing_of_mlpipe(script: Path) -> None:
    assert "mlpipe" not in script.read_text()

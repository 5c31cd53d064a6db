"""The diagnosis recipe's training scripts, on its data, through to an answered request."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import mlpipe_scriptmode
from tests.plugins.sagemaker.training_project import Project, Training

METRICS = {"validation:accuracy": "validation accuracy: ([0-9.]+)"}
SETTINGS = {"forest": {"n-estimators": 50, "seed": 7}, "linear": {"C": 1.0, "seed": 7}}


@pytest.fixture
def tables(project: Project) -> dict[str, Path]:
    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.data.assign(malignant=1 - bunch.target)
    parts = train_test_split(frame, test_size=0.4, random_state=7, stratify=frame["malignant"])
    paths = {}
    for name, part in zip(("train", "validation"), parts, strict=True):
        paths[name] = project.root / f"{name}.csv"
        part.to_csv(paths[name], index=False)
    return paths


def train(project: Project, script: str, tables: dict[str, Path], repository: Path) -> Training:
    text = (repository / "recipes" / "diagnosis" / f"{script}.py").read_text()
    return project.train(
        text,
        script=f"{script}.py",
        inputs=tables,
        hyperparameters=SETTINGS[script],
        metrics=METRICS,
        name=f"{script}-{len(list(project.root.glob('.mlpipe/scratch/*')))}",
    )


@pytest.mark.parametrize("script", sorted(SETTINGS))
def test_scripts_train_and_serve(
    script: str, project: Project, tables: dict[str, Path], repository: Path, tmp_path: Path
) -> None:
    training = train(project, script, tables, repository)
    accuracy = training.result.metrics["validation:accuracy"]
    assert accuracy > 0.93

    folder = mlpipe_scriptmode.unpack(training.output("model"), tmp_path / "model")
    model = mlpipe_scriptmode.load(folder)
    rows = np.loadtxt(tables["validation"], delimiter=",", skiprows=1)
    body = json.dumps({"instances": rows[:, :-1].tolist()}).encode()
    answer, kind = model.invoke(body, "application/json", "application/json")
    assert kind == "application/json"
    assert np.mean(np.array(json.loads(answer)) == rows[:, -1]) == pytest.approx(accuracy, abs=1e-4)

    cells = ",".join(map(str, rows[0, :-1])).encode()
    assert model.invoke(cells, "text/csv", "text/csv")[0].strip() in (b"0", b"1")
    with pytest.raises(mlpipe_scriptmode.BadPayload, match="30"):
        model.invoke(b"[1, 2]", "application/json", "application/json")


@pytest.mark.parametrize("script", sorted(SETTINGS))
def test_same_data_and_seed_give_the_same_archive(
    script: str, project: Project, tables: dict[str, Path], repository: Path
) -> None:
    first = train(project, script, tables, repository).output("model").read_bytes()
    second = train(project, script, tables, repository).output("model").read_bytes()
    assert first == second


@pytest.mark.parametrize("script", sorted(SETTINGS))
def test_scripts_know_nothing_of_mlpipe(script: str, repository: Path) -> None:
    assert "mlpipe" not in (repository / "recipes" / "diagnosis" / f"{script}.py").read_text()

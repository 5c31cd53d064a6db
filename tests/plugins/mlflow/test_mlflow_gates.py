"""Gates on what an evaluation says, in real runs that MLflow tracks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlpipe_mlflow.config import TrackingConfig
from tests.plugins.mlflow.mlflow_project import Pipeline, put_in_service

CODE = """
import json
import joblib
import numpy as np
import pandas as pd
from pathlib import Path
from sklearn.linear_model import LogisticRegression

import mlpipe_scriptmode
from scoring import cost

def data(train, test):
    random = np.random.default_rng(4)
    for path in (train, test):
        rows = random.normal(size=(200, 2))
        labels = (rows[:, 0] + random.normal(size=200) / 4 > 0).astype(int)
        pd.DataFrame(rows, columns=["a", "b"]).assign(y=labels).to_csv(path, index=False)

def fit(train, model, C=1.0):
    frame = pd.read_csv(train)
    folder = model.parent / "fitted"
    folder.mkdir()
    made = LogisticRegression(C=C).fit(frame[["a", "b"]].to_numpy(), frame["y"])
    joblib.dump(made, folder / "model.joblib")
    mlpipe_scriptmode.pack(folder, {"serve.py": Path("serve.py")}, "serve.py", model)
"""

SERVE = """
import joblib

def model_fn(model_dir):
    return joblib.load(model_dir + "/model.joblib")
"""

RECIPE = """
name: churn
observers: {mlflow: {}}
stages:
  data:
    uses: python.prepare
    with: {function: 'stages:data', outputs: {train: data/train.csv, test: data/test.csv}}
  old:
    uses: python.train
    inputs: {train: data.train}
    with: {function: 'stages:fit', args: {C: 0.0001}, outputs: {model: old.tar.gz}}
  new:
    uses: python.train
    inputs: {train: data.train}
    with: {function: 'stages:fit', outputs: {model: new.tar.gz}}
  quality:
    uses: mlflow.evaluate
    inputs: {old: old.model, new: new.model, test: data.test}
    with:
      label: y
      task: classification
      custom: {cost: 'scoring:cost'}
      bootstrap: {samples: 200}
      champion: old
    gate: {GATE}
"""


def write(root: Path, gate: str, recipe: str = RECIPE) -> None:
    (root / "churn.yaml").write_text(recipe.replace("GATE", gate))


def mlpipe(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlpipe", *arguments],
        cwd=root,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture
def project(root: Path) -> Path:
    (root / "stages.py").write_text(CODE)
    (root / "serve.py").write_text(SERVE)
    (root / "scoring.py").write_text(
        "def cost(truth, predictions, scores):\n    return float((truth != predictions).mean())\n"
    )
    return root


def test_a_gate_on_the_lower_bound_of_a_gain(project: Path, pipeline: Pipeline) -> None:
    write(project, 'new.log_loss.gain.lower: ">= 1000", new.cost.upper: "<= 0.5"')
    missed = mlpipe(project, "run", "churn")
    assert missed.returncode == 3, missed.stderr + missed.stdout
    assert "new.log_loss.gain.lower" in missed.stderr
    quality = pipeline.nested("quality")
    gate = quality.data.tags["mlpipe.gate"]
    assert gate.startswith("new.log_loss.gain.lower 0.")
    assert "wanted >= 1000" in gate
    assert "short" in gate
    assert quality.info.status == "FAILED"
    found = {each.path for each in pipeline.client.list_artifacts(quality.info.run_id)}
    assert {"report.json", "report.html"} <= found
    metrics = quality.data.metrics
    assert metrics["new.log_loss.gain.lower"] <= metrics["new.log_loss.gain"]
    (run,) = json.loads(mlpipe(project, "runs", "list", "--json").stdout)
    shown = json.loads(mlpipe(project, "runs", "show", run["run"], "--json").stdout)
    (kept,) = [each["kept"] for each in shown["stages"] if each["stage"] == "quality"]
    assert [Path(each).name for each in kept] == ["report.html"]
    assert "Better than old by" in (project / kept[0]).read_text()

    write(project, 'new.log_loss.gain.lower: "> 0", new.cost.upper: "<= 0.5"')
    passed = mlpipe(project, "run", "churn")
    assert passed.returncode == 0, passed.stderr + passed.stdout
    (project / "scoring.py").write_text("def cost(truth, predictions, scores):\n    return 1.0\n")
    planned = json.loads(mlpipe(project, "plan", "churn", "--json").stdout)
    verdicts = {each["stage"]: each["verdict"] for each in planned}
    assert verdicts["quality"] == "run"  # the custom metric's code is part of the stage


@pytest.mark.parametrize(
    ("gate", "without", "message"),
    [
        (
            'new.accuracy.lower: ">= 0.9"',
            "      bootstrap: {samples: 200}\n",
            'the stage reports no metric "new.accuracy.lower"',
        ),
        (
            'new.accuracy.gain: "> 0"',
            "      champion: old\n",
            'the stage reports no metric "new.accuracy.gain"',
        ),
        ('old.accuracy.gain: "> 0"', "", 'the stage reports no metric "old.accuracy.gain"'),
    ],
)
def test_a_gate_on_what_is_not_measured_is_refused(
    project: Path, gate: str, without: str, message: str
) -> None:
    write(project, gate, RECIPE.replace(without, "") if without else RECIPE)
    refused = mlpipe(project, "plan", "churn")
    assert refused.returncode == 2
    assert message in refused.stderr
    assert refused.stderr.startswith("churn.yaml:")


def test_another_model_in_service_is_another_judgement(project: Path) -> None:
    recipe = RECIPE.replace("champion: old", "champion: 'models:/churn@champion'")
    recipe = recipe.replace("mlflow: {}", "mlflow: {tracking_uri: 'sqlite:///own.db'}")
    write(project, 'new.accuracy.gain: "> 0"', recipe)
    first = mlpipe(project, "run", "churn")  # nothing is in service: nothing to be better than
    assert first.returncode == 0, first.stderr
    plan = json.loads(mlpipe(project, "plan", "churn", "--json").stdout)
    assert {each["verdict"] for each in plan} == {"cached"}

    own = TrackingConfig(tracking_uri=f"sqlite:///{project}/own.db", model="churn")
    put_in_service(Pipeline(project, config=own), next(project.rglob("new.tar.gz")))
    second = mlpipe(project, "run", "churn")
    assert second.returncode == 3, second.stderr
    assert "new.accuracy.gain 0, wanted > 0" in second.stderr
    (record,) = json.loads(mlpipe(project, "plan", "churn", "--json").stdout)[-1:]
    assert record["verdict"] == "cached"

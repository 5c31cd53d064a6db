"""Promotions: all traffic to the winner, its model the champion, and the way back."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from typing import Any

import pytest
from mlflow import MlflowClient

from mlpipe.store import opened
from tests.plugins.endpoint.endpoint_project import Project, request

SCRIPT = """
    import argparse, json, os
    from pathlib import Path

    def model_fn(folder):
        return json.loads(Path(folder, "model.json").read_text())

    def predict_fn(rows, model):
        return [model["answer"] for _ in rows]

    if __name__ == "__main__":
        parser = argparse.ArgumentParser()
        parser.add_argument("--answer", type=int)
        given = parser.parse_args()
        Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(vars(given)))
"""
RECIPE = """
    name: churn
    {observers}
    stages:
      old:
        uses: sagemaker.train
        with: {{script: model.py, hyperparameters: {{answer: 1}}}}
      new:
        uses: sagemaker.train
        with: {{script: model.py, hyperparameters: {{answer: 2}}}}
      endpoint:
        uses: endpoint.deploy
        inputs: {{champion: old.model, challenger: new.model}}
        with:
          endpoint: churn
          traffic: {{champion: 90, challenger: 10}}
          {experiment}
"""
EXPERIMENT = "experiment: {metric: {name: sale, baseline: 0.1}, effect: 0.05, control: champion}"


class Pipeline:
    """A recipe that was run."""

    def __init__(self, project: Project) -> None:
        self.project = project

    def write(self, *, observers: str = "", experiment: str = "") -> None:
        root = self.project.root
        (root / "model.py").write_text(textwrap.dedent(SCRIPT))
        text = textwrap.dedent(RECIPE).format(observers=observers, experiment=experiment)
        (root / "churn.yaml").write_text(text)

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "mlpipe", *arguments],
            cwd=self.project.root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def mlpipe(self, *arguments: str, code: int = 0) -> str:
        process = self.start(*arguments)
        out, err = process.communicate()
        assert process.returncode == code, err
        return out if not code else err

    def weights(self) -> dict[str, float]:
        found = self.project.backend.describe("churn")
        assert found is not None
        assert found.running
        return dict(found.deployment.weights)

    def ledger(self) -> tuple[str, dict[str, float]]:
        """Give label and weights of what the ledger says is in service."""
        with opened(self.project.root, read_only=True) as store:
            current = store.releases.current("endpoint", "churn")
            assert current is not None
            return current.label, dict(current.payload["weights"])

    def answers(self) -> set[int]:
        # One of ten is for the other variant: that none of so many is, has a chance of 1e-7.
        return {request(self.project.port()).json[0] for _ in range(150)}


@pytest.fixture
def pipeline(project: Project) -> Pipeline:
    made = Pipeline(project)
    made.write()
    made.mlpipe("run", "churn")
    return made


def test_a_promotion_and_the_way_back(pipeline: Pipeline) -> None:
    assert pipeline.mlpipe("endpoint", "promote", "churn", "challenger") == (
        "champion 0 · challenger 100   read back ✓  answers ✓\n"
        "release churn-2   recorded ✓\n"
        "way back: mlpipe rollback endpoint/churn --to churn-1\n"
    )
    assert pipeline.answers() == {2}
    assert pipeline.ledger() == ("churn-2", {"champion": 0.0, "challenger": 100.0})
    again = pipeline.mlpipe("endpoint", "promote", "churn", "challenger", code=2)
    assert '"challenger" has all traffic of endpoint "churn" already' in again
    assert "cached" in pipeline.mlpipe("run", "churn")
    assert pipeline.answers() == {2}  # the recipe's shares do not undo it
    assert "churn-1" in pipeline.mlpipe("endpoint", "rollback", "churn")
    assert pipeline.answers() == {1, 2}
    assert pipeline.ledger() == ("churn-1", {"champion": 90.0, "challenger": 10.0})


def test_another_model_is_held_against_the_promoted_one(pipeline: Pipeline) -> None:
    """The recipe may leave the champion to what is in service."""
    pipeline.mlpipe("endpoint", "promote", "churn", "challenger")
    recipe = pipeline.project.root / "churn.yaml"
    text = recipe.read_text().replace("{champion: old.model, challenger", "{challenger")
    recipe.write_text(text)
    pipeline.mlpipe("run", "churn")
    assert pipeline.weights() == {"champion": 0.0, "challenger": 100.0}
    recipe.write_text(text.replace("{answer: 2}", "{answer: 3}"))
    pipeline.mlpipe("run", "churn")
    assert pipeline.weights() == {"champion": 90.0, "challenger": 10.0}
    assert pipeline.answers() == {2, 3}


def test_what_cannot_be_promoted(pipeline: Pipeline) -> None:
    found = pipeline.mlpipe("endpoint", "promote", "churn", code=2)
    assert "nothing says which variant" in found
    assert "Name it: champion, challenger." in found
    found = pipeline.mlpipe("endpoint", "promote", "churn", "other", code=2)
    assert 'has no variant "other"' in found


def test_the_winner_of_an_experiment(project: Project) -> None:
    pipeline = Pipeline(project)
    pipeline.write(experiment=EXPERIMENT)
    pipeline.mlpipe("run", "churn")
    assert "is not decided" in pipeline.mlpipe("endpoint", "promote", "churn", code=1)
    pipeline.mlpipe("ab", "decide", "churn", "--undecided")
    assert "has no winner" in pipeline.mlpipe("endpoint", "promote", "churn", code=1)
    pipeline.mlpipe("endpoint", "promote", "churn", "challenger")
    assert pipeline.weights() == {"champion": 0.0, "challenger": 100.0}


def test_who_is_promoted_before_the_end_ends_the_experiment(project: Project) -> None:
    pipeline = Pipeline(project)
    pipeline.write(experiment=EXPERIMENT)
    pipeline.mlpipe("run", "churn")
    request(project.port(), headers={"X-Mlpipe-Key": "ann"})
    pipeline.mlpipe("endpoint", "promote", "churn", "challenger")
    request(project.port(), headers={"X-Mlpipe-Key": "bob"})
    facts = json.loads(pipeline.mlpipe("ab", "status", "churn", "--json"))
    assert facts["ending"]["kind"] == "stopped"
    assert sum(facts["units"].values()) == 1


def test_the_promoted_model_is_the_champion_of_the_registry(project: Project) -> None:
    pipeline = Pipeline(project)
    pipeline.write(observers="observers: {mlflow: {experiment: churn}}")
    pipeline.mlpipe("run", "churn")

    def aliases() -> dict[str, Any]:
        client = MlflowClient(f"sqlite:///{project.root}/mlflow.db")
        return {a: str(v) for a, v in client.get_registered_model("churn").aliases.items()}

    before = aliases()
    assert before["champion"] != before["challenger"]
    pipeline.mlpipe("endpoint", "promote", "churn", "challenger")
    assert aliases() == dict.fromkeys(before, before["challenger"])
    pipeline.mlpipe("rollback", "endpoint/churn")
    assert aliases() == before


def test_a_promotion_that_is_killed_is_completed_by_the_next_command(pipeline: Pipeline) -> None:
    command = ("endpoint", "promote", "churn", "challenger")
    begun = time.monotonic()
    pipeline.mlpipe(*command)
    whole = time.monotonic() - begun
    pipeline.mlpipe("rollback", "endpoint/churn", "--to", "churn-1")
    interrupted = 0
    for part in (7, 8, 6, 9, 5, 7, 8, 6, 9, 4, 3):
        process = pipeline.start(*command)
        time.sleep(whole * part / 10)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        with opened(pipeline.project.root, read_only=True) as store:
            interrupted += bool(store.releases.all_unfinished())
        out = pipeline.start("run", "churn").communicate()[1]
        label, weights = pipeline.ledger()
        assert weights == pipeline.weights(), out
        with opened(pipeline.project.root, read_only=True) as store:
            assert store.releases.all_unfinished() == []
        if label == "churn-1":  # it was killed before it had decided anything
            assert weights == {"champion": 90.0, "challenger": 10.0}
            continue
        assert weights == {"champion": 0.0, "challenger": 100.0}
        assert pipeline.answers() == {2}
        if interrupted == 2:
            return
        pipeline.mlpipe("rollback", "endpoint/churn", "--to", "churn-1")
    pytest.fail(f"it was interrupted {interrupted} times only")

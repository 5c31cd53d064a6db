"""Trials of a tuning as nested runs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Run

from tests.plugins.mlflow.mlflow_project import BEGINNING, Pipeline


def trial(number: int, state: str = "complete", **changes: Any) -> dict[str, Any]:
    """What a tuning says of a trial."""
    return {
        "number": number,
        "state": state,
        "parameters": {"depth": number, "rate": 0.1, "kind": "tree", "deep": True},
        "objective": 0.5 + number / 100,
        "metrics": {"validation:auc": 0.5 + number / 100, "loss": 1.0},
        "started": BEGINNING + 10 * number,
        "finished": BEGINNING + 10 * number + 5.25,
        "job": "",
        "error": "",
        **changes,
    }


def trials(pipeline: Pipeline) -> dict[str, Run]:
    return {
        str(run.info.run_name): run for run in pipeline.runs() if "mlpipe.trial" in run.data.tags
    }


def test_a_trial_is_a_run_below_its_stage(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("search")
    pipeline.say("search", "trial", **trial(3, job="churn-search-003"))
    found = trials(pipeline)["trial 3"]
    assert found.info.status == "FINISHED"
    assert found.info.start_time == (BEGINNING + 30) * 1000
    assert found.info.end_time == (BEGINNING + 35.25) * 1000
    assert found.data.params == {"depth": "3", "rate": "0.1", "kind": "tree", "deep": "true"}
    assert found.data.metrics == {"validation:auc": 0.53, "loss": 1.0, "objective": 0.53}
    tags = found.data.tags
    assert tags["mlflow.parentRunId"] == pipeline.nested("search").info.run_id
    assert (tags["mlpipe.trial"], tags["mlpipe.state"]) == ("3", "complete")
    assert tags["mlpipe.job"] == "churn-search-003"
    assert "mlpipe.error" not in tags


@pytest.mark.parametrize(
    ("state", "status"),
    [("complete", "FINISHED"), ("pruned", "KILLED"), ("stopped", "KILLED"), ("failed", "FAILED")],
)
def test_how_trials_end(pipeline: Pipeline, state: str, status: str) -> None:
    pipeline.start()
    pipeline.begin("search")
    facts: dict[str, Any] = {"objective": None, "metrics": {}, "error": "x" * 9000}
    pipeline.say("search", "trial", **trial(0, state, **facts))
    pipeline.end("search")
    pipeline.finish()
    found = trials(pipeline)["trial 0"]
    assert found.info.status == status
    assert found.data.metrics == {}
    assert found.data.tags["mlpipe.state"] == state
    assert found.data.tags["mlpipe.error"] == "x" * 7999 + "…"


def test_trials_told_twice_are_made_once(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("search")
    for number in range(3):
        pipeline.say("search", "trial", **trial(number))
    before = pipeline.picture()
    for event in pipeline.told[2:]:
        pipeline.hear(event)
    assert pipeline.picture() == before
    pipeline.replay()
    assert pipeline.picture() == before
    pipeline.end("search")
    pipeline.finish()
    before = pipeline.picture()
    pipeline.replay()
    assert pipeline.picture() == before


def test_a_trial_that_was_half_written_is_completed(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("search")
    pipeline.say("search", "trial", **trial(0))
    made = trials(pipeline)["trial 0"]
    pipeline.client.update_run(made.info.run_id, status="RUNNING")  # as a crash would leave it
    pipeline.new_process()
    pipeline.hear(pipeline.told[-1])
    again = trials(pipeline)["trial 0"]
    assert (again.info.run_id, again.info.status) == (made.info.run_id, "FINISHED")
    assert (again.data.metrics, again.data.params) == (made.data.metrics, made.data.params)
    history = pipeline.client.get_metric_history(made.info.run_id, "loss")
    assert len(history) == 1


def test_a_second_attempt_counts_from_0_again(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("search")
    pipeline.say("search", "trial", **trial(0))
    pipeline.begin("search", attempt=2)
    pipeline.say("search", "trial", **trial(0, started=BEGINNING + 100, finished=BEGINNING + 105))
    made = [run for run in pipeline.runs() if run.data.tags.get("mlpipe.trial") == "0"]
    assert len(made) == 2


def test_many_metrics_and_parameters(pipeline: Pipeline) -> None:
    facts: dict[str, Any] = {
        "parameters": {f"p{number}": number for number in range(150)},
        "metrics": {f"m{number}": float(number) for number in range(1200)},
    }
    pipeline.start()
    pipeline.begin("search")
    pipeline.say("search", "trial", **trial(0, **facts))
    found = trials(pipeline)["trial 0"]
    assert len(found.data.params) == 150
    assert len(found.data.metrics) == 1201


def test_a_trial_of_a_stage_that_never_began_is_left_out(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.say("search", "trial", **trial(0))
    assert trials(pipeline) == {}


def test_runs_of_the_trials_own_scripts_take_no_place(pipeline: Pipeline) -> None:
    """A script that calls MLflow makes a run with the stage's tags, as its environment says."""
    pipeline.start()
    pipeline.begin("search")
    own = pipeline.nested("search")
    kept = ("mlpipe.run", "mlpipe.project", "mlpipe.stage")
    tags = {name: own.data.tags[name] for name in kept}
    theirs = pipeline.client.create_run(own.info.experiment_id, tags=tags)
    pipeline.say("search", "trial", **trial(0))
    pipeline.say("search", "dataset", name="d", digest="sha256:1", location="d.csv")
    stage = pipeline.client.get_run(own.info.run_id)
    assert stage.info.lifecycle_stage == "active"
    assert pipeline.client.get_run(theirs.info.run_id).data.tags["mlflow.parentRunId"] == (
        own.info.run_id
    )
    assert trials(pipeline)["trial 0"].data.tags["mlflow.parentRunId"] == own.info.run_id


PLUGIN = '''
"""A plugin that tunes without training."""

from mlpipe import StageConfig, StageResult, hookimpl


class SearchConfig(StageConfig):
    """How many trials."""

    trials: int


@hookimpl
def tune(config: SearchConfig, stage):
    for number in range(config.trials):
        stage.emit(
            "trial", number=number, state="complete" if number else "failed",
            parameters={"depth": number + 1}, objective=number / 10 if number else None,
            metrics={"auc": number / 10} if number else {}, started=1e9 + number,
            finished=1e9 + number + 0.5, job="", error="" if number else "no luck",
        )
    return StageResult(metrics={"auc": (config.trials - 1) / 10})
'''


def test_a_real_run_tracks_trials(root: Path, tmp_path: Path, pipeline: Pipeline) -> None:
    site = tmp_path / "site"
    info = site / "mlpipe_lucky-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "lucky_search.py").write_text(PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mlpipe-lucky\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlpipe]\nlucky = lucky_search\n")
    (root / "churn.yaml").write_text(
        "name: churn\nobservers: {mlflow: {}}\n"
        "stages:\n  search: {uses: lucky.tune, with: {trials: 4}}\n"
    )
    run_mlpipe(root, site)
    found = trials(pipeline)
    assert list(found) == [f"trial {number}" for number in range(4)]
    assert [run.info.status for run in found.values()] == ["FAILED", *["FINISHED"] * 3]
    (stage,) = [run for run in pipeline.runs() if run.info.run_name == "search"]
    assert {run.data.tags["mlflow.parentRunId"] for run in found.values()} == {stage.info.run_id}
    assert found["trial 3"].data.metrics == {"auc": 0.3, "objective": 0.3}
    assert found["trial 0"].data.tags["mlpipe.error"] == "no luck"
    assert stage.data.metrics == {"auc": 0.3}


def run_mlpipe(root: Path, site: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mlpipe", "run", "churn"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr + done.stdout

"""Experiments between variants, told after the run that began them."""

from pathlib import Path

import pytest

import mlpipe
from mlpipe import Recipe
from mlpipe_experiments import ExperimentPlan, keeping
from mlpipe_experiments.deciding import conclude
from mlpipe_experiments.keeping import Experiment
from mlpipe_experiments.publishing import publish
from tests.plugins.experiments.experiments_recorded import fill
from tests.plugins.mlflow.mlflow_project import Pipeline

PLAN = {
    "metric": {"name": "purchase", "baseline": 0.1},
    "effect": 0.1,
    "control": "champion",
    "weights": {"champion": 50, "challenger": 50},
    "guardrails": [{"metric": "error_rate", "margin": 0.01}],
}


def begun(root: Path, run: str, stage: str) -> Experiment:
    plan, records = ExperimentPlan.model_validate(PLAN), Path("invocations.jsonl")
    state = root / ".mlpipe"
    made = keeping.begin(state, "churn", "salt", plan, records, "promote", run=run, stage=stage)
    fill(made, 800, {"champion": 0.1, "challenger": 0.3})
    return made


def test_a_decision_is_on_the_run_of_the_stage_that_began(root: Path) -> None:
    """Told by a command, in a process of its own, once the run has ended."""
    (root / "stages.py").write_text("def serve():\n    return None\n")
    recipe = Recipe.model_validate(
        {
            "name": "churn",
            "observers": {"mlflow": {}},
            "stages": {"endpoint": {"uses": "python.deploy", "with": {"function": "stages:serve"}}},
        }
    )
    done = mlpipe.run(recipe, root=root)
    assert done.ok
    experiment = begun(root, done.run, "endpoint")
    assert publish(experiment)[1] == ()
    pipeline = Pipeline(root, run=done.run)
    nested = pipeline.nested("endpoint")
    assert nested.data.tags["mlpipe.experiment.state"] == "running"

    conclude(experiment, undecided=False)
    ended = keeping.newest(root / ".mlpipe", "churn")
    page, reports = publish(ended, root / "page.html")
    assert reports == ()
    nested = pipeline.nested("endpoint")
    told = {name: value for name, value in nested.data.tags.items() if "mlpipe.experiment" in name}
    reason = told.pop("mlpipe.experiment.reason")
    assert reason.startswith("challenger: purchase +0.2, ")
    assert told == {
        "mlpipe.experiment": "churn",
        "mlpipe.experiment.state": "ended",
        "mlpipe.experiment.verdict": "promote",
        "mlpipe.experiment.winner": "challenger",
        "mlpipe.experiment.metric": "purchase",
        "mlpipe.experiment.plan": experiment.plan.digest(),
    }
    metrics = nested.data.metrics
    assert metrics["experiment.units"] == 800
    assert metrics["experiment.challenger.units"] == 400
    assert metrics["experiment.champion.mean"] == 0.1
    lower, upper = (metrics[f"experiment.challenger.effect_{end}"] for end in ("lower", "upper"))
    assert 0 < lower < metrics["experiment.challenger.effect"] < upper
    assert metrics["experiment.challenger.error_rate_worse_by"] == 0
    kept = pipeline.client.download_artifacts(nested.info.run_id, "experiment/report.html")
    assert Path(kept).read_text() == page.read_text()
    assert "Ended: promote." in page.read_text()
    assert nested.info.status == pipeline.parent().info.status == "FINISHED"


def test_telling_twice_is_telling_once(pipeline: Pipeline, root: Path) -> None:
    page = root / "page.html"
    page.write_text("<p>So far</p>")
    pipeline.start()
    pipeline.begin("endpoint")
    pipeline.end("endpoint")
    pipeline.finish()
    facts = {"name": "churn", "units": 7, "tags": {"verdict": "keep"}, "metrics": {"units": 7}}
    pipeline.new_process()
    pipeline.say("endpoint", "experiment", **facts, report=str(page))
    before = pipeline.picture()
    pipeline.replay()
    assert pipeline.picture() == before
    history = pipeline.client.get_metric_history(
        pipeline.nested("endpoint").info.run_id, "experiment.units"
    )
    assert [(each.step, each.value) for each in history] == [(7, 7.0)]
    page.unlink()
    pipeline.say("endpoint", "experiment", **facts, report=str(page))
    assert pipeline.reports == [f"endpoint: the page {page} is not here to be kept"]


@pytest.mark.parametrize("run", ["", "unknown"])
def test_without_observers_only_the_page_is_written(root: Path, run: str) -> None:
    experiment = begun(root, run, "endpoint")
    page, reports = publish(experiment)
    assert reports == ()
    assert page == experiment.folder / "report.html"
    assert pipeline_experiments(root) == []


def pipeline_experiments(root: Path) -> list[str]:
    """Name the experiments that MLflow has, its own default one left out."""
    found = Pipeline(root).client.search_experiments(filter_string="name != 'Default'")
    return [each.name for each in found]

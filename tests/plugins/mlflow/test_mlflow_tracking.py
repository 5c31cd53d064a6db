"""What the observer makes of events: runs, parameters, metrics, data sets, artifacts."""

import json
import math
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mlpipe_mlflow
from mlpipe import UserError
from mlpipe_mlflow.config import TrackingConfig
from mlpipe_mlflow.writing import flat, valid_name
from tests.plugins.mlflow.mlflow_project import BEGINNING, Pipeline, datasets


def test_a_run_becomes_a_parent_and_a_nested_run_a_stage(pipeline: Pipeline, root: Path) -> None:
    log = root / "train.log"
    log.write_text("epoch 1\n")
    pipeline.start(depth=4, net={"layers": [8, 8], "name": "small"})
    pipeline.begin("train", script="train.py", hyperparameters={"n-estimators": 200})
    pipeline.metric("train", 1, loss=0.5)
    pipeline.metric("train", 2, loss=0.25)
    outputs = {"model": {"digest": "sha256:00ff", "location": "m.tar.gz"}}
    pipeline.end("train", metrics={"loss": 0.25, "auc": 0.9}, outputs=outputs, log=str(log))
    pipeline.finish()

    parent, nested = pipeline.parent(), pipeline.nested("train")
    assert parent.info.status == nested.info.status == "FINISHED"
    assert (parent.info.start_time, parent.info.end_time) == (
        (BEGINNING + 1) * 1000,
        (BEGINNING + 6) * 1000,
    )
    assert parent.data.params == {"depth": "4", "net.layers": "[8, 8]", "net.name": "small"}
    assert parent.data.metrics == {"train.loss": 0.25, "train.auc": 0.9}
    assert parent.data.tags["mlpipe.command"] == "mlpipe run churn"
    assert nested.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert nested.data.tags["mlpipe.uses"] == "sagemaker.train"
    assert nested.data.tags["mlpipe.output.model"] == "sha256:00ff"
    assert nested.data.params == {"script": "train.py", "hyperparameters.n-estimators": "200"}
    assert nested.data.metrics == {"loss": 0.25, "auc": 0.9}
    history = pipeline.client.get_metric_history(nested.info.run_id, "loss")
    assert [(each.step, each.value) for each in history] == [(1, 0.5), (2, 0.25)]
    assert [each.path for each in pipeline.client.list_artifacts(nested.info.run_id, "logs")] == [
        "logs/train.log"
    ]


def test_artifacts_are_kept_in_the_project(pipeline: Pipeline, root: Path) -> None:
    (root / "report.json").write_text("{}")
    (root / "plots").mkdir()
    (root / "plots" / "roc.svg").write_text("<svg/>")
    pipeline.start()
    pipeline.begin("train")
    pipeline.say("train", "artifact", path="report.json")
    pipeline.say("train", "artifact", path="plots", name="figures")
    pipeline.say("train", "artifact", digest="sha256:1", location="gone.txt", name="gone")
    found = {
        path.relative_to(root / "mlartifacts").parts[2:]
        for path in (root / "mlartifacts").rglob("*.*")
    }
    assert found == {("report.json",), ("figures", "roc.svg")}
    assert pipeline.reports == ["train: artifact gone.txt is not here to be kept"]


def test_data_sets_are_inputs(pipeline: Pipeline, root: Path) -> None:
    digest = "sha256:" + "ab" * 32
    pipeline.start()
    pipeline.begin("train")
    facts = {"digest": digest, "size": 7, "rows": 3, "columns": 2}
    pipeline.say("train", "dataset", name="test", location="t.csv", context="evaluation", **facts)
    pipeline.say("train", "dataset", name="raw", location="s3://b/raw", digest="md5:" + "c" * 32)
    nested = pipeline.nested("train")
    test, raw = datasets(nested)["test"], datasets(nested)["raw"]
    assert test.digest == "ab" * 18
    assert json.loads(test.source) == {"uri": (root / "t.csv").as_uri()}
    assert json.loads(test.profile or "") == {
        "digest": digest,
        "size": 7,
        "num_rows": 3,
        "num_columns": 2,
    }
    assert nested.inputs is not None
    contexts = [[tag.value for tag in each.tags] for each in nested.inputs.dataset_inputs]
    assert sorted(contexts) == [[], ["evaluation"]]
    assert (raw.source_type, raw.digest) == ("s3", "c" * 32)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("failed", "FAILED"),
        ("gate failed", "FAILED"),
        ("interrupted", "KILLED"),
        ("killed", "KILLED"),
    ],
)
def test_what_did_not_end_well(pipeline: Pipeline, state: str, status: str) -> None:
    pipeline.start()
    pipeline.begin("train")
    if state == "gate failed":
        gate = {"bound": ">= 0.94", "value": 0.931, "shortfall": 0.009, "notify": []}
        pipeline.tell("gate_failed", "train", metric="accuracy", **gate)
    if state != "killed":  # then no stage is told to have ended
        error = {"what": "ValueError: no", "where": "train.py:4", "fix": None}
        pipeline.end("train", state, error=error if state == "failed" else None)
    pipeline.new_process()  # the next run's process tells of a run that was killed
    pipeline.finish(state)
    parent, nested = pipeline.parent(), pipeline.nested("train")
    assert (parent.info.status, nested.info.status) == (status, status)
    assert parent.data.tags["mlpipe.state"] == state
    if state == "failed":
        assert nested.data.tags["mlpipe.error"] == "train.py:4\nValueError: no"
    if state == "gate failed":
        missed = "accuracy 0.931, wanted >= 0.94 (0.009 short)"
        assert nested.data.tags["mlpipe.gate"] == missed
        assert parent.data.tags["mlpipe.gate"] == f"train: {missed}"


def test_telling_everything_twice_changes_nothing(
    pipeline: Pipeline, models: dict[str, Path], root: Path
) -> None:
    (root / "train.log").write_text("done\n")
    pipeline.start(depth=4)
    pipeline.begin("train", C=1.0)
    pipeline.metric("train", 1, loss=math.nan)
    pipeline.metric("train", 2, loss=0.25)
    pipeline.say("train", "dataset", name="test", digest="sha256:1", location="t.csv")
    facts = pipeline.model("train", models["linear"])
    gate = {"bound": ">= 1", "value": 0.5, "shortfall": 0.5, "notify": []}
    pipeline.tell("gate_failed", "train", metric="auc", **gate)
    pipeline.end("train", "gate failed", metrics={"loss": 0.2, "auc": 0.5}, log="train.log")
    pipeline.release(champion=facts)
    pipeline.finish("gate failed")
    before = pipeline.picture()
    pipeline.replay()
    assert pipeline.picture() == before
    for event in list(pipeline.told):  # and each one twice, in one process
        pipeline.hear(event)
        pipeline.hear(event)
    assert pipeline.picture() == before


def test_stages_at_the_same_time_keep_apart(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("forest", C=1)
    pipeline.begin("linear", C=2)
    for step in range(20):
        pipeline.metric("forest", step, loss=float(step))
        pipeline.metric("linear", step, loss=-float(step))
    pipeline.end("linear")
    pipeline.end("forest", "failed")
    forest, linear = pipeline.nested("forest"), pipeline.nested("linear")
    assert (forest.data.params, linear.data.params) == ({"C": "1"}, {"C": "2"})
    assert (forest.data.metrics["loss"], linear.data.metrics["loss"]) == (19.0, -19.0)
    assert len(pipeline.client.get_metric_history(forest.info.run_id, "loss")) == 20
    assert (forest.info.status, linear.info.status) == ("FAILED", "FINISHED")


def test_another_attempt_goes_on_in_the_same_run(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("train")
    pipeline.end("train", "failed")
    pipeline.begin("train", attempt=2)
    assert pipeline.nested("train").info.status == "RUNNING"
    pipeline.end("train", attempt=2)
    assert pipeline.nested("train").info.status == "FINISHED"
    assert pipeline.nested("train").data.tags["mlpipe.attempt"] == "2"


def test_a_hit_shows_on_the_parent_only(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.end("train", "cached", attempt=0, metrics={"auc": 0.9})
    pipeline.end("deploy", "waiting", attempt=0)
    pipeline.finish("failed", error="no")
    assert [run.info.run_name for run in pipeline.runs()] == ["7f3a"]
    assert pipeline.parent().data.metrics == {"train.auc": 0.9}


def test_settings(root: Path) -> None:
    config = TrackingConfig(experiment="mine", tags={"team": "risk"})
    pipeline = Pipeline(root, config=config)
    pipeline.start()
    pipeline.begin("train")
    assert [run.data.tags["team"] for run in pipeline.runs("mine")] == ["risk", "risk"]


def test_projects_with_the_same_run_on_one_store_keep_apart(root: Path, tmp_path: Path) -> None:
    config = TrackingConfig(tracking_uri=f"sqlite:///{root}/mlflow.db")
    ours = Pipeline(root, config=config)
    other = Pipeline(tmp_path / "other", config=config)
    for pipeline in (ours, other):
        pipeline.start()
        pipeline.begin("train")
    other.finish("killed")
    assert sorted(run.info.status for run in ours.runs()) == [
        "KILLED",
        "KILLED",
        "RUNNING",
        "RUNNING",
    ]


def test_a_burst_of_metrics_is_a_few_writes(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("train")
    begun = time.process_time()
    for step in range(1500):
        pipeline.metric("train", step, loss=1.0 / (step + 1))
    pipeline.end("train")
    spent = time.process_time() - begun
    run = pipeline.nested("train").info.run_id
    assert len(pipeline.client.get_metric_history(run, "loss")) == 1500
    assert spent < 1500 * 0.005  # one write each takes about 0.013 s


def test_the_last_metrics_of_a_dying_run_are_written(root: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from mlflow_project import Pipeline
pipeline = Pipeline(Path({str(root)!r}))
pipeline.start()
pipeline.begin("train")
for step in range(50):
    pipeline.metric("train", step, loss=float(step))
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    pipeline = Pipeline(root)
    run = pipeline.nested("train").info.run_id
    assert len(pipeline.client.get_metric_history(run, "loss")) == 50


# -- a stage whose own code calls MLflow ----------------------------------------------------


def own_code(pipeline: Pipeline, stage: str, code: str) -> None:
    """Run a stage's code with the variables that the observer asks for."""
    environment = mlpipe_mlflow.stage_environment(
        config=pipeline.config,
        recipe=pipeline.recipe,
        run=pipeline.run,
        stage=stage,
        root=pipeline.root,
    )
    subprocess.run(
        [sys.executable, "-c", f"import mlflow\n{code}"],
        env={**os.environ, **environment},
        cwd=pipeline.root,
        check=True,
        capture_output=True,
    )


def test_the_run_of_a_stages_own_code_becomes_the_stages(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("train", C=1.0)
    pipeline.metric("train", 1, loss=0.5)
    own_code(
        pipeline,
        "train",
        "with mlflow.start_run():\n"
        "    mlflow.log_metric('mine', 3)\n"
        "    mlflow.log_param('C', 'mine')\n"
        "    with mlflow.start_run(nested=True, run_name='below'): pass",
    )
    pipeline.say("train", "dataset", name="test", digest="sha256:1", location="t.csv")
    pipeline.end("train", "gate failed", metrics={"auc": 0.9})
    pipeline.finish("gate failed")

    runs = {run.info.run_id: run for run in pipeline.runs()}
    (nested,) = [run for run in runs.values() if "mlpipe.uses" in run.data.tags]
    assert nested.data.metrics == {"mine": 3.0, "loss": 0.5, "auc": 0.9}
    assert nested.data.params == {"C": "mine"}
    assert nested.data.tags["mlflow.parentRunId"] == pipeline.parent().info.run_id
    assert nested.info.status == "FAILED"
    assert list(datasets(nested)) == ["test"]
    (below,) = [run for run in runs.values() if run.info.run_name == "below"]
    assert below.data.tags["mlflow.parentRunId"] == nested.info.run_id
    assert len(runs) == 3
    before = pipeline.picture()
    pipeline.replay()
    assert pipeline.picture() == before


def test_several_runs_of_a_stages_own_code_go_below_it(pipeline: Pipeline) -> None:
    pipeline.start()
    pipeline.begin("train")
    own_code(
        pipeline,
        "train",
        "for name in ('one', 'two'):\n    with mlflow.start_run(run_name=name): pass",
    )
    pipeline.end("train")
    runs = {run.info.run_name: run for run in pipeline.runs()}
    stage = runs["train"].info.run_id
    assert runs["one"].data.tags["mlflow.parentRunId"] == stage
    assert runs["two"].data.tags["mlflow.parentRunId"] == stage


def test_the_variables_of_a_stage(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def variables(**settings: str) -> dict[str, str]:
        config = TrackingConfig.model_validate(settings)
        given = mlpipe_mlflow.stage_environment(
            config=config, recipe="churn", run="7f3a", stage="train", root=root
        )
        return dict(given)

    plain = variables()
    tags = json.loads(plain["MLFLOW_RUN_CONTEXT"])
    assert plain["MLFLOW_TRACKING_URI"] == f"sqlite:///{root}/mlflow.db"
    assert plain["MLFLOW_EXPERIMENT_NAME"] == "churn"
    assert plain["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert (tags["mlpipe.run"], tags["mlpipe.stage"]) == ("7f3a", "train")
    assert variables() == plain
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    assert variables()["MLFLOW_TRACKING_URI"] == "https://mlflow.example.org"
    named = variables(tracking_uri="sqlite:///other.db", experiment="mine")
    assert named["MLFLOW_TRACKING_URI"] == "sqlite:///other.db"
    assert named["MLFLOW_EXPERIMENT_NAME"] == "mine"


# -- what goes wrong ------------------------------------------------------------------------


def test_a_server_that_is_down_is_reported_and_left_alone(root: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    config = TrackingConfig(tracking_uri=f"http://me:secret@127.0.0.1:{port}")
    pipeline = Pipeline(root, config=config)
    begun = time.monotonic()
    with pytest.raises(UserError, match=f"^http://127.0.0.1:{port} does not answer") as caught:
        pipeline.start()
    assert "secret" not in str(caught.value)
    pipeline.begin("train")
    pipeline.end("train")
    pipeline.finish()
    assert time.monotonic() - begun < 20


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns", "./mlruns"])
def test_a_folder_is_no_store(root: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="is a folder"):
        TrackingConfig(tracking_uri=uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError, match=r"MLFLOW_TRACKING_URI: .* is a folder"):
        Pipeline(root).start()


def test_a_run_whose_start_was_never_told(pipeline: Pipeline) -> None:
    with pytest.raises(UserError, match="run 7f3a is not in MLflow"):
        pipeline.begin("train")


def test_a_deleted_experiment(pipeline: Pipeline) -> None:
    client = pipeline.client
    client.delete_experiment(client.create_experiment("churn"))
    with pytest.raises(UserError, match='experiment "churn" is deleted'):
        pipeline.start()


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("validation:accuracy", "validation:accuracy"),
        ("a b.c/d-e", "a b.c/d-e"),
        ("f1 (macro) %", "f1 _macro_ _"),
        ("/abs//path", "_abs__path"),
        ("..", "_"),
        ("x" * 300, "x" * 250),
    ],
)
def test_names_that_mlflow_takes(name: str, valid: str, pipeline: Pipeline) -> None:
    assert valid_name(name) == valid
    pipeline.start()
    pipeline.begin("train", **{name: 1})
    pipeline.metric("train", 1, **{name: 1.0})
    pipeline.end("train", metrics={name: 1.0})
    nested = pipeline.nested("train")
    assert (list(nested.data.metrics), list(nested.data.params)) == ([valid], [valid])


def test_long_and_odd_parameters(pipeline: Pipeline) -> None:
    settings = {f"p{number}": number for number in range(250)}
    pipeline.start(text="x" * 10_000, nothing=None, empty={}, yes=True, **settings)
    params = pipeline.parent().data.params
    assert len(params) == 254
    assert params["text"] == "x" * 5999 + "…"
    assert (params["nothing"], params["empty"], params["yes"]) == ("null", "{}", "true")
    assert flat({"a": {"b": {"c": 1}}}) == {"a.b.c": "1"}

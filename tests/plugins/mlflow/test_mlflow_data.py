"""Data that a stage prepares: as MLflow's dataset inputs, with its reports as artifacts."""

import json
from pathlib import Path

import pytest
from mlflow.types import Schema

from tests.plugins.mlflow.mlflow_project import Pipeline, datasets

SCHEMA = {
    "id": "integer",
    "age": "number",
    "town": "text",
    "active": "boolean",
    "born": "date",
    "seen": "timestamp",
    "tags": "other",
}


def say(pipeline: Pipeline, **facts: object) -> None:
    pipeline.say("data", "dataset", name="train", digest="md5:" + "a" * 32, **facts)


@pytest.fixture
def stage(pipeline: Pipeline) -> Pipeline:
    pipeline.start()
    pipeline.begin("data")
    return pipeline


def test_a_data_set_is_an_input_with_schema_and_profile(stage: Pipeline, root: Path) -> None:
    say(stage, location="data/train.csv", size=70, rows=3, columns=list(SCHEMA), schema=SCHEMA)
    train = datasets(stage.nested("data"))["train"]
    assert (train.digest, train.source_type) == ("a" * 32, "local")
    assert json.loads(train.source) == {"uri": (root / "data/train.csv").as_uri()}
    schema = Schema.from_json(json.dumps(json.loads(train.schema or "")["mlflow_colspec"]))
    assert [(each.name, str(each.type)) for each in schema.inputs] == [
        ("id", "DataType.long"),
        ("age", "DataType.double"),
        ("town", "DataType.string"),
        ("active", "DataType.boolean"),
        ("born", "DataType.datetime"),
        ("seen", "DataType.datetime"),
        ("tags", "DataType.string"),
    ]
    assert json.loads(train.profile or "") == {
        "digest": "md5:" + "a" * 32,
        "size": 70,
        "num_rows": 3,
        "num_columns": 7,
    }


def test_a_data_set_of_files_has_no_schema(stage: Pipeline) -> None:
    say(stage, location="data/train", files=12, bytes=4000)
    train = datasets(stage.nested("data"))["train"]
    assert not train.schema
    assert json.loads(train.profile or "")["files"] == 12


def test_a_very_wide_table_is_an_input_too(stage: Pipeline) -> None:
    wide = {f'{number} "é"'.ljust(500): "number" for number in range(3000)}
    say(stage, location="data/train.csv", rows=3, columns=list(wide), schema=wide)
    train = datasets(stage.nested("data"))["train"]
    columns = json.loads(train.schema or "")["mlflow_colspec"]
    assert 100 < len(columns) < 3000
    assert columns[0]["name"].strip() == '0 "é"'
    assert json.loads(train.profile or "")["num_columns"] == 3000


@pytest.mark.parametrize("state", ["done", "failed", "gate failed"])
def test_what_a_stage_keeps_is_an_artifact_however_it_ends(
    stage: Pipeline, root: Path, state: str
) -> None:
    kept = root / ".mlpipe" / "runs" / stage.run / "data.1" / "checks.html"
    kept.parent.mkdir(parents=True)
    kept.write_text("<p>2 checks failed</p>")
    stage.say("data", "artifact", location=kept.relative_to(root).as_posix(), kept=True)
    stage.end("data", state)
    stage.finish(state)
    run = stage.nested("data").info.run_id
    (artifact,) = stage.client.list_artifacts(run)
    assert artifact.path == "checks.html"
    assert (root / "mlartifacts").is_dir()
    assert Path(stage.client.download_artifacts(run, "checks.html")).read_text() == kept.read_text()
    assert stage.reports == []


def test_bad_data_are_told_as_a_bound_that_was_missed(stage: Pipeline) -> None:
    gate = {"metric": "checks.failures", "bound": "<= 0", "value": 2, "shortfall": 2, "notify": []}
    stage.tell("gate_failed", "data", **gate)
    assert stage.nested("data").data.tags["mlpipe.gate"] == (
        "checks.failures 2, wanted <= 0 (2 over)"
    )

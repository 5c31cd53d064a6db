"""``endpoint.monitor``: real requests, captured, against the data that a model was trained on."""

import base64
import http.client
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlpipe_endpoint
from mlpipe import StageResult
from mlpipe.errors import StageError
from mlpipe.testing import make_stage
from mlpipe_endpoint.config import EndpointConfig, MonitorConfig
from mlpipe_endpoint.records import is_drawn
from tests.plugins.endpoint.endpoint_project import Project

#: Predicts whether the first number is positive.
SCRIPT = """
    import numpy as np

    def model_fn(folder):
        return None

    def predict_fn(rows, model):
        return (rows[:, 0] > 0).astype(int)
"""
RNG = np.random.default_rng(5)


class Watched:
    """An endpoint whose requests are captured, and the table that its model was trained on."""

    def __init__(self, project: Project, capture: float = 1.0) -> None:
        self.project = project
        self.model = {"only": project.model("model", SCRIPT)}
        self.deploy(capture)
        table = pd.DataFrame(RNG.normal(size=(3000, 3)), columns=["a", "b", "c"])
        table["y"] = (table["a"] > 0).astype(int)
        self.baseline = project.root / "train.csv"
        table.to_csv(self.baseline, index=False)

    def deploy(self, capture: float) -> None:
        config = EndpointConfig(endpoint="churn", capture=capture)
        stage = make_stage(self.project.root, "deploy", inputs=self.model).stage
        mlpipe_endpoint.deploy(config=config, stage=stage)

    def ask(
        self, count: int, shift: float = 0.0, headers: Mapping[str, str] | None = None
    ) -> list[str]:
        """Send single rows; give the invocations' ids."""
        connection = http.client.HTTPConnection("127.0.0.1", self.project.port(), timeout=30)
        ids = []
        for _ in range(count):
            first, *others = RNG.normal(size=3).tolist()
            body = json.dumps([[first + shift, *others]])
            sent = {"Content-Type": "application/json", **(headers or {})}
            connection.request("POST", "/invocations", body, sent)
            answer = connection.getresponse()
            answer.read()
            ids.append(str(answer.headers["x-amzn-RequestId"]))
        connection.close()
        return ids

    def monitor(self, **settings: Any) -> StageResult:
        config = MonitorConfig(**{"endpoint": "churn", "label": "y", **settings})
        stage = make_stage(self.project.root, "monitor", inputs={"baseline": self.baseline}).stage
        return mlpipe_endpoint.monitor(config=config, stage=stage)

    def captured(self) -> list[dict[str, Any]]:
        path = self.project.backend.folder("churn").captures
        return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def watched(project: Project) -> Watched:
    return Watched(project)


def page(result: StageResult) -> str:
    report = result.outputs["report"]
    assert isinstance(report, Path)
    return report.read_text()


def test_traffic_as_in_training_has_not_drifted(watched: Watched) -> None:
    watched.ask(600)
    result = watched.monitor()
    assert result.metrics["rows"] == 600
    assert (result.metrics["drifted"], result.metrics["drift_share"]) == (0, 0)
    assert result.metrics["prediction_drift"] < 0.1
    assert result.summary == "600 rows, nothing drifted"
    assert "None of 3 features drifted." in page(result)


def test_what_drifts_is_named_and_shown(watched: Watched) -> None:
    watched.ask(600, shift=1.0)
    result = watched.monitor()
    assert result.metrics["drifted"] == 1
    assert result.metrics["drift_share"] == pytest.approx(1 / 3)
    assert result.metrics["prediction_drift"] > 0.1  # more rows are positive
    assert result.summary == "600 rows, a drifted"
    text = page(result)
    assert "1 of 3 features drifted: a." in text
    assert text.count("<svg") == 4  # the predictions and three features
    assert "http" not in text.replace("http://www.w3.org", "")


def test_too_few_rows_conclude_nothing(watched: Watched) -> None:
    watched.ask(30, shift=5.0)
    result = watched.monitor()
    assert result.metrics["drifted"] == 0
    assert result.summary == "30 rows, too few to conclude anything"
    assert "too few to conclude anything: 200 are" in page(result)


def test_only_the_newest_rows_are_looked_at(watched: Watched) -> None:
    watched.ask(300, shift=3.0)
    watched.ask(300)
    assert watched.monitor(rows=300).metrics["drifted"] == 0
    assert watched.monitor(rows=600).metrics["drifted"] == 1


def test_quality_comes_with_the_labels(watched: Watched) -> None:
    ids = watched.ask(300)
    labels = watched.project.root / "labels.csv"
    captured = {each["id"]: each for each in watched.captured()}
    rows = ["id,label"]
    for number, identifier in enumerate(ids[:200]):
        (answer,) = json.loads(base64.b64decode(captured[identifier]["answer"]))
        rows.append(f"{identifier},{answer if number % 4 else 1 - answer}")
    labels.write_text("\n".join(rows) + "\n")
    result = watched.monitor(labels="labels.csv")
    assert (result.metrics["labelled"], result.metrics["accuracy"]) == (200, 0.75)


def test_what_is_no_row_of_features_is_counted_apart(watched: Watched) -> None:
    watched.ask(250)
    connection = http.client.HTTPConnection("127.0.0.1", watched.project.port(), timeout=30)
    for body in ("[[1, 2]]", "[[1, 2, 3, 4]]", "nonsense"):
        connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
        connection.getresponse().read()
    connection.close()
    result = watched.monitor()
    assert result.metrics["rows"] == 250
    assert "3 captures are no rows of features" in page(result)


def test_a_share_is_captured_and_changes_live(project: Project) -> None:
    watched = Watched(project, capture=0.0)
    watched.ask(20)
    assert watched.captured() == []
    pid = project.server_pid()
    watched.deploy(0.3)
    assert project.server_pid() == pid
    ids = watched.ask(300)
    kept = [each["id"] for each in watched.captured()]
    assert kept == [identifier for identifier in ids if is_drawn(identifier, 0.3)]
    assert 50 < len(kept) < 130
    watched.ask(5, headers={"X-Amzn-SageMaker-Target-Variant": "only"})  # a probe is no traffic
    assert len(watched.captured()) == len(kept)


def test_no_answered_request_is_lost_when_the_server_is_killed(watched: Watched) -> None:
    ids = watched.ask(200)
    os.kill(watched.project.server_pid(), signal.SIGKILL)
    assert [each["id"] for each in watched.captured()] == ids


def test_what_cannot_be_monitored(watched: Watched) -> None:
    with pytest.raises(StageError, match='no column "z"') as caught:
        watched.monitor(label="z")
    assert "Its columns: a, b, c, y." in str(caught.value)
    with pytest.raises(StageError, match='no endpoint "other" on this machine'):
        watched.monitor(endpoint="other")
    (watched.project.root / "labels.csv").write_text("x,y\n1,2\n")
    with pytest.raises(StageError, match="no columns id and label"):
        watched.monitor(labels="labels.csv")
    with pytest.raises(ValueError, match="it takes one input, baseline"):
        MonitorConfig(endpoint="churn").declares({"train": "data.train"})

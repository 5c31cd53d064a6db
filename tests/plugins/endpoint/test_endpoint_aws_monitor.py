"""``endpoint.monitor`` at the emulated SageMaker: what that captured, in the bucket."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import mlpipe_endpoint
from mlpipe import StageResult
from mlpipe.errors import StageError
from mlpipe.testing import make_stage
from mlpipe_awstest import Aws
from mlpipe_endpoint.config import MonitorConfig
from tests.plugins.emulated_aws import BUCKET
from tests.plugins.endpoint.endpoint_project import Project
from tests.plugins.endpoint.endpoint_sites import Site, at_sagemaker
from tests.plugins.endpoint.test_endpoint_monitor import SCRIPT

CAPTURE: dict[str, Any] = {"hosting": {"capture": 1}}
RNG = np.random.default_rng(7)


@pytest.fixture
def site(cloud: Aws, project: Project) -> Site:
    return at_sagemaker(project)


@pytest.fixture
def baseline(project: Project) -> Path:
    table = pd.DataFrame(RNG.normal(size=(3000, 3)), columns=["a", "b", "c"])
    table["y"] = (table["a"] > 0).astype(int)
    path = project.root / "train.csv"
    table.to_csv(path, index=False)
    return path


def monitor(site: Site, baseline: Path, **settings: Any) -> StageResult:
    config = MonitorConfig(**{"endpoint": "churn", "label": "y", **settings})
    inputs = {"baseline": baseline}
    stage = make_stage(site.project.root, "monitor", inputs=inputs, target=site.target).stage
    return mlpipe_endpoint.monitor(config=config, stage=stage)


def ask(
    cloud: Aws, shift: float, kind: str = "application/json", count: int = 300, **more: str
) -> None:
    """Send rows, of which the first column is shifted."""
    rows = RNG.normal(size=(count, 3)) + np.array([shift, 0, 0])
    lines = "\n".join(",".join(map(str, row)) for row in rows.tolist())
    body = json.dumps(rows.tolist()) if kind == "application/json" else lines
    cloud.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="churn", ContentType=kind, Body=body, **more
    )


def test_drift_is_found_in_what_sagemaker_captured(site: Site, cloud: Aws, baseline: Path) -> None:
    """Newest first, both in JSON and CSV; what it asks the endpoint itself is no traffic."""
    site.deploy({"only": site.project.model("model", SCRIPT)}, **CAPTURE)
    ask(cloud, 0.0)
    for _ in range(2):
        quiet = monitor(site, baseline)
        assert (quiet.metrics["rows"], quiet.metrics["drifted"]) == (300, 0)
    ask(cloud, 1.5, "text/csv")
    found = monitor(site, baseline, rows=300)
    assert (found.metrics["rows"], found.metrics["drifted"]) == (300, 1)
    assert found.metrics["prediction_drift"] > 0.1
    assert found.summary == "300 rows, a drifted"
    assert monitor(site, baseline).metrics["rows"] == 600


def test_quality_joins_the_id_that_the_caller_gave(site: Site, cloud: Aws, baseline: Path) -> None:
    site.deploy({"only": site.project.model("model", SCRIPT)}, **CAPTURE)
    for order in ("order-1", "order-2", "order-3"):
        ask(cloud, 9.0, count=1, InferenceId=order)
    labels = site.project.root / "labels.csv"
    labels.write_text("id,label\norder-1,1\norder-2,0\n")
    found = monitor(site, baseline, labels="labels.csv")
    assert (found.metrics["labelled"], found.metrics["accuracy"]) == (2, 0.5)


def test_a_shadow_s_captures_are_not_counted(site: Site, cloud: Aws, baseline: Path) -> None:
    models = {name: site.project.model(name, SCRIPT) for name in ("only", "other")}
    site.deploy(models, shadow={"other": 1}, **CAPTURE)
    ask(cloud, 0.0)
    assert monitor(site, baseline).metrics["rows"] == 300
    assert any("/only/" in key for key in cloud.objects(BUCKET))


def test_an_endpoint_that_is_not_there_is_told(site: Site, baseline: Path) -> None:
    with pytest.raises(StageError, match='there is no endpoint "churn" at SageMaker'):
        monitor(site, baseline)

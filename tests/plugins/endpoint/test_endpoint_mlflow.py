"""Models that MLflow saved, behind an endpoint."""

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mlpipe_endpoint
from mlpipe import Artifact, RollbackContext, Target
from mlpipe.errors import StageError
from mlpipe.testing import make_stage
from mlpipe_endpoint import mlflow_model
from mlpipe_endpoint.config import EndpointConfig
from mlpipe_scriptmode import BadPayload, Batcher, Request
from tests.plugins.endpoint.endpoint_project import Project, request

JSON = "application/json"
TABLE = pd.DataFrame({"age": [20, 30, 40, 50, 60, 70], "income": [1.5, 2.0, 2.5, 3.0, 3.5, 4.0]})
LABELS = [0, 0, 0, 1, 1, 1]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scikit-learn model with a signature: age is a whole number, income is none."""
    import mlflow.sklearn
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit(TABLE, LABELS)
    folder = tmp_path_factory.mktemp("mlflow") / "model"
    mlflow.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(TABLE, np.array(LABELS)),
        pip_requirements=["scikit-learn"],
        serialization_format="pickle",
    )
    return folder


def archived(folder: Path, into: Path, inner: str) -> Path:
    with tarfile.open(into, "w:gz") as tar:
        tar.add(folder, arcname=inner)
    return into


@pytest.fixture(params=[".", "model"])
def port(request: pytest.FixtureRequest, project: Project, saved: Path) -> int:
    archive = archived(saved, project.root / "model.tar.gz", request.param)
    return int(project.deploy({"champion": archive}, spares=0).values["port"])


def test_it_answers_rows_tables_and_csv(port: int) -> None:
    bodies = {
        JSON: b"[[25, 1.75], [65, 4]]",
        "text/csv": b"25,1.75\n65,4\n",
        "application/json; charset=utf-8": json.dumps(
            {"dataframe_split": {"columns": ["income", "age"], "data": [[1.75, 25], [4.0, 65]]}}
        ).encode(),
    }
    for kind, body in bodies.items():
        answer = request(port, body=body, headers={"Content-Type": kind})
        assert (answer.status, answer.json) == (200, [0, 1])


def test_a_folder_that_mlflow_saved_is_a_model(project: Project, saved: Path) -> None:
    folder = project.root / "saved"
    shutil.copytree(saved, folder)
    model = Artifact("champion", "sha256:" + "1" * 64, "saved")
    stage = make_stage(project.root, "deploy", inputs={"champion": model}).stage
    config = EndpointConfig(endpoint="churn", spares=0)
    result = mlpipe_endpoint.deploy(config=config, stage=stage)
    shutil.rmtree(folder)  # what was released is kept
    project.backend.stop("churn")
    context = RollbackContext(project.root, project.root / ".mlpipe", Target(), None)
    mlpipe_endpoint.rollback(release=result.releases[0], context=context)
    answer = request(project.port(), body=b"[[25, 1.75], [65, 4]]")
    assert (answer.status, answer.json) == (200, [0, 1])


def test_another_folder_is_none(project: Project) -> None:
    (project.root / "empty").mkdir()
    model = Artifact("champion", "sha256:" + "1" * 64, "empty")
    stage = make_stage(project.root, "deploy", inputs={"champion": model}).stage
    with pytest.raises(StageError, match="is a folder without an MLmodel, not a model"):
        mlpipe_endpoint.deploy(config=EndpointConfig(endpoint="churn"), stage=stage)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[[25]]", "the rows have 1 columns, the model takes 2: age, income"),
        ("[[25.5, 1]]", "incompatible input types"),
        ('{"dataframe_records": [{"age": 25}]}', "income"),
        ('{"dataframe_split": 7}', "the body is no table"),
        ("[[NaN, 1]]", "row 1, column 1"),
    ],
)
def test_what_the_signature_does_not_take_is_the_callers_fault(
    saved: Path, body: str, said: str
) -> None:
    model = mlflow_model.load(saved)
    with pytest.raises(BadPayload, match=f"(?i){said}"):
        model.invoke(body.encode(), JSON, JSON)


def test_rows_of_several_requests_are_predicted_together(saved: Path) -> None:
    model = mlflow_model.load(saved)
    assert model.takes_batches
    batcher = Batcher(model)
    asked = [Request(body, JSON, "*/*") for body in (b"[[25, 1.5]]", b"[[1]]", b"[[65, 4.5]]")]
    for _ in range(12):
        first, failed, last = batcher.answers(asked)
        assert (first, last) == ((b"[0]", JSON), (b"[1]", JSON))
        assert isinstance(failed, BadPayload)

"""The champion of the registry: what is in service, as MLflow knows it, against candidates."""

import math
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer

import mlpipe_mlflow
from mlpipe import StageError
from mlpipe.testing import make_stage
from mlpipe_mlflow.config import EvaluateConfig
from tests.plugins.mlflow.mlflow_evaluation import evaluate, table
from tests.plugins.mlflow.mlflow_project import Pipeline, put_in_service

ALIAS = "models:/churn@champion"


@pytest.fixture
def held_out(root: Path) -> Path:
    data = load_breast_cancer()
    return table(root, data.data[400:], data.target[400:])


def identity(root: Path, champion: str = ALIAS) -> Any:
    config = EvaluateConfig(label="label", task="classification", champion=champion)
    return mlpipe_mlflow.resolve(config=config, stage=make_stage(root, "evaluate").stage)


def test_gains_are_over_what_is_in_service(
    pipeline: Pipeline, models: dict[str, Path], held_out: Path
) -> None:
    digest = put_in_service(pipeline, models["tree"])
    inputs = {"linear": models["linear"], "test": held_out}
    result, _, report = evaluate(pipeline.root, inputs, champion=ALIAS)
    page = result.outputs["plots"]
    assert isinstance(page, Path)
    assert "Better than champion by" in page.read_text()
    by_input = {"linear": models["linear"], "tree": models["tree"], "test": held_out}
    wanted, _, _ = evaluate(pipeline.root, by_input, champion="tree")
    assert result.metrics == {
        name.replace("tree.", "champion."): value for name, value in wanted.metrics.items()
    }
    assert result.metrics["linear.accuracy.gain"] > 0
    assert report["models"]["champion"]["digest"] == digest


def test_what_is_in_service_counts_for_the_fingerprint(
    pipeline: Pipeline, models: dict[str, Path]
) -> None:
    assert identity(pipeline.root) == {"champion": "none"}
    digest = put_in_service(pipeline, models["tree"])
    assert identity(pipeline.root) == {"champion": digest}
    assert identity(pipeline.root, "models:/churn@challenger") == {"champion": "none"}
    assert identity(pipeline.root, "models:/other@champion") == {"champion": "none"}


def test_looking_makes_no_database(tmp_path: Path) -> None:
    assert identity(tmp_path) == {"champion": "none"}
    assert not (tmp_path / "mlflow.db").exists()


def test_over_nothing_any_gain_is_infinite(
    pipeline: Pipeline,
    models: dict[str, Path],
    held_out: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    inputs = {"linear": models["linear"], "test": held_out}
    result, _, report = evaluate(pipeline.root, inputs, champion=ALIAS, bootstrap={"samples": 100})
    gains = {name: value for name, value in result.metrics.items() if ".gain" in name}
    assert set(gains.values()) == {math.inf}
    assert {"linear.accuracy.gain", "linear.f1.gain.lower"} <= gains.keys()
    assert f"nothing is {ALIAS} yet: any gain is infinite" in capsys.readouterr().out
    assert set(report["models"]) == {"linear"}
    assert "champion.accuracy" not in result.metrics


def test_a_model_that_somebody_else_registered(
    pipeline: Pipeline, models: dict[str, Path], held_out: Path
) -> None:
    import mlflow
    from sklearn.linear_model import LogisticRegression

    folder = pipeline.root / "theirs"
    data = load_breast_cancer()
    fitted = LogisticRegression(max_iter=10_000).fit(data.data[:400], data.target[:400])
    mlflow.sklearn.save_model(fitted, folder, pip_requirements=[])
    pipeline.client.create_registered_model("churn")
    pipeline.client.create_model_version("churn", folder.as_uri())
    pipeline.client.set_registered_model_alias("churn", "champion", "1")
    with pytest.raises(StageError, match="was not trained by mlpipe") as caught:
        evaluate(pipeline.root, {"linear": models["linear"], "test": held_out}, champion=ALIAS)
    assert "stages.quality.with.champion" in str(caught.value)


def test_a_registry_that_does_not_answer(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(StageError, match=r"http://127\.0\.0\.1:9.*: the registry cannot be read"):
        identity(root)


@pytest.mark.parametrize(
    ("champion", "inputs", "problem"),
    [
        ("models:/churn", ("new",), "write models:/churn@champion"),
        ("models:/churn/3", ("new",), "write models:/churn@champion"),
        (ALIAS, ("champion",), 'call the input "champion" something else'),
    ],
)
def test_what_cannot_be_meant(champion: str, inputs: tuple[str, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        EvaluateConfig(label="label", task="classification", champion=champion).declares(
            {"test": "data.test", **{name: f"{name}.model" for name in inputs}}
        )

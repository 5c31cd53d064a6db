"""The verb ``evaluate`` on real data, with models packed as training packs them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from sklearn import metrics
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.svm import SVC

from mlpipe.errors import StageError
from mlpipe_mlflow.config import METRICS, EvaluateConfig
from tests.plugins.mlflow.mlflow_evaluation import evaluate, table
from tests.plugins.mlflow.mlflow_project import SCRIPT, pack


@pytest.fixture(scope="module")
def cancer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = load_breast_cancer()
    return table(tmp_path_factory.mktemp("data"), data.data[400:], data.target[400:])


def test_two_models_are_measured_side_by_side(
    tmp_path: Path, cancer: Path, archives: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = {"champion": archives["tree"], "challenger": archives["linear"], "test": cancer}
    result, probe, report = evaluate(tmp_path, inputs)
    names = {
        f"{model}.{metric}"
        for model in ("champion", "challenger")
        for metric in METRICS["classification"]
    }
    assert set(result.metrics) == names
    declared = EvaluateConfig(label="label", task="classification").declares(
        dict.fromkeys(inputs, "x.y")
    )
    assert isinstance(declared.metrics, tuple)
    assert set(declared.metrics) == names
    assert declared.outputs == tuple(result.outputs)

    assert result.metrics["challenger.accuracy"] > 0.95
    assert report["rows"] == 169
    linear = report["models"]["challenger"]
    assert linear["metrics"]["accuracy"] == result.metrics["challenger.accuracy"]
    matrix = np.array(linear["confusion"]["matrix"])
    assert linear["confusion"]["labels"] == [0, 1]
    assert np.trace(matrix) / matrix.sum() == linear["metrics"]["accuracy"]
    (said,) = probe.payloads("dataset")
    assert (said["name"], said["rows"], said["columns"]) == ("test", 169, 31)
    place = ".mlpipe/runs/test-run/quality.1/report.html"
    assert probe.payloads("artifact") == [
        {"output": "report"},
        {"location": place, "kept": True},
    ]
    page = result.outputs["plots"]
    assert isinstance(page, Path)
    assert (tmp_path / place).read_bytes() == page.read_bytes()
    assert "champion.accuracy" in result.summary
    printed = capsys.readouterr().out
    assert "confusion (rows: truth, columns: predicted)" in printed
    assert str(matrix[1, 1]) in printed


def test_metrics_are_those_of_scikit_learn(
    tmp_path: Path, cancer: Path, archives: dict[str, Path]
) -> None:
    import joblib

    import mlpipe_scriptmode

    folder = mlpipe_scriptmode.unpack(archives["linear"], tmp_path / "unpacked")
    model = joblib.load(folder / "model.joblib")
    frame = pd.read_csv(cancer)
    rows, truth = frame.drop(columns="label").to_numpy(), frame["label"]
    guesses, likely = model.predict(rows), model.predict_proba(rows)
    for positive in (0, 1):
        found = evaluate(
            tmp_path, {"model": archives["linear"], "test": cancer}, positive=positive
        )[0].metrics
        assert found == pytest.approx(
            {
                "accuracy": metrics.accuracy_score(truth, guesses),
                "balanced_accuracy": metrics.balanced_accuracy_score(truth, guesses),
                "precision": metrics.precision_score(truth, guesses, pos_label=positive),
                "recall": metrics.recall_score(truth, guesses, pos_label=positive),
                "f1": metrics.f1_score(truth, guesses, pos_label=positive),
                "roc_auc": metrics.roc_auc_score(truth, likely[:, 1]),
                "log_loss": metrics.log_loss(truth, likely),
            }
        )


def test_more_than_two_classes_named_by_text(tmp_path: Path) -> None:
    data = load_iris()
    labels = data.target_names[data.target]
    model = LogisticRegression(max_iter=500).fit(data.data[::2], labels[::2])
    test = table(tmp_path, data.data[1::2], labels[1::2], "test.parquet")
    result, _, report = evaluate(
        tmp_path, {"model": pack(tmp_path / "m.tar.gz", model), "test": test}
    )
    guesses, likely = model.predict(data.data[1::2]), model.predict_proba(data.data[1::2])
    truth = labels[1::2]
    assert result.metrics["f1"] == pytest.approx(metrics.f1_score(truth, guesses, average="macro"))
    assert result.metrics["roc_auc"] == pytest.approx(
        metrics.roc_auc_score(truth, likely, multi_class="ovr")
    )
    assert report["models"]["model"]["confusion"]["labels"] == list(data.target_names)


def test_regression(tmp_path: Path) -> None:
    data = load_diabetes()
    model = LinearRegression().fit(data.data[:300], data.target[:300])
    test = table(tmp_path, data.data[300:], data.target[300:])
    inputs = {"model": pack(tmp_path / "m.tar.gz", model), "test": test}
    result, _, report = evaluate(tmp_path, inputs, task="regression")
    truth, guesses = data.target[300:], model.predict(data.data[300:])
    assert result.metrics == pytest.approx(
        {
            "rmse": metrics.root_mean_squared_error(truth, guesses),
            "mae": metrics.mean_absolute_error(truth, guesses),
            "r2": metrics.r2_score(truth, guesses),
        }
    )
    assert "confusion" not in report["models"]["model"]


@pytest.mark.parametrize("model", [RidgeClassifier(), SVC()], ids=["ridge", "svc"])
def test_a_model_without_probabilities(tmp_path: Path, cancer: Path, model: Any) -> None:
    data = load_breast_cancer()
    archive = pack(tmp_path / "m.tar.gz", model.fit(data.data[:400], data.target[:400]))
    result, _, _ = evaluate(tmp_path, {"model": archive, "test": cancer})
    assert set(METRICS["classification"]) - set(result.metrics) == {"roc_auc", "log_loss"}


def test_probabilities_of_rows_that_the_script_prepares_are_not_trusted(tmp_path: Path) -> None:
    rows = np.array([[1.0], [2.0], [-1.0], [-2.0]] * 5)
    labels = (rows[:, 0] > 0).astype(int)
    script = SCRIPT + "\n    def predict_fn(rows, model):\n        return model.predict(-rows)\n"
    model = LogisticRegression().fit(-rows, labels)
    inputs = {
        "model": pack(tmp_path / "m.tar.gz", model, script),
        "test": table(tmp_path, rows, labels),
    }
    result, _, _ = evaluate(tmp_path, inputs)
    assert result.metrics["accuracy"] == 1.0
    assert "roc_auc" not in result.metrics


def test_one_class_in_the_test_set(tmp_path: Path, archives: dict[str, Path]) -> None:
    data = load_breast_cancer()
    malignant = data.data[data.target == 0][:20]
    test = table(tmp_path, malignant, np.zeros(20, dtype=int))
    result, _, _ = evaluate(tmp_path, {"model": archives["linear"], "test": test})
    assert result.metrics["balanced_accuracy"] == result.metrics["accuracy"]
    assert result.metrics["precision"] == 0.0
    assert "roc_auc" not in result.metrics


# -- what cannot be measured ----------------------------------------------------------------


def constant(root: Path, answer: str) -> Path:
    """Pack a model whose script answers an expression of ``rows``."""
    script = f"""
    import sys
    import numpy as np

    def model_fn(model_dir):
        return None

    def predict_fn(rows, model):
        return {answer}
    """
    return pack(root / "constant.tar.gz", None, script)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("np.zeros(len(rows) - 1)", r"predictions of shape \(3,\) for 4 rows"),
        ("np.zeros((len(rows), 2))", r"predictions of shape \(4, 2\) for 4 rows"),
        ("[[1], [1, 2], [3], [4]]", "rows of different lengths"),
        ("np.full(len(rows), 0.7)", "scores where classes are wanted"),
        ("np.full(len(rows), np.nan)", "scores where classes are wanted"),
        ("['yes'] * len(rows)", "text where the labels are numbers"),
        ("np.full(len(rows), 2)", "1 is not one of the classes"),
        ("1 / 0", "cannot predict the test rows"),
        ("sys.exit(3)", "cannot predict the test rows"),
    ],
)
def test_predictions_that_cannot_be_measured(tmp_path: Path, answer: str, message: str) -> None:
    test = table(tmp_path, np.ones((4, 2)), [0, 0, 0, 0])
    with pytest.raises(StageError, match=message) as caught:
        evaluate(tmp_path, {"model": constant(tmp_path, answer), "test": test})
    assert caught.value.where is not None
    assert caught.value.where.startswith("stages.quality.")


def test_predictions_of_a_regression_must_be_numbers(tmp_path: Path) -> None:
    test = table(tmp_path, np.ones((4, 2)), [0.5, 1, 2, 3])
    model = constant(tmp_path, "np.full(len(rows), np.inf)")
    with pytest.raises(StageError, match="no finite numbers"):
        evaluate(tmp_path, {"model": model, "test": test}, task="regression")
    words = table(tmp_path, np.ones((2, 2)), ["a", "b"], "words.csv")
    with pytest.raises(StageError, match="labels of a regression must be finite numbers"):
        evaluate(tmp_path, {"model": model, "test": words}, task="regression")


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("f0,label\n1,0\n", {"label": "labl"}, 'no column "labl"\n   Did you mean "label"'),
        ("f0,label\n1,0\n", {"label": "zzz"}, 'no column "zzz"\n   Its columns: f0, label'),
        ("f0,label\n1,0\n2,\n3,\n", {}, '2 of 3 rows have no "label", first row 2'),
        ("f0,label\n", {}, "has no rows"),
        ("", {}, "cannot be read: No columns"),
        ('f0,label\n1,"0\n', {}, "cannot be read"),
        ("label\n1\n", {}, 'no column beside "label"'),
    ],
)
def test_tables_that_cannot_be_used(
    tmp_path: Path, archives: dict[str, Path], text: str, settings: dict[str, str], message: str
) -> None:
    path = tmp_path / "test.csv"
    path.write_text(text)
    with pytest.raises(StageError) as caught:
        evaluate(tmp_path, {"model": archives["tree"], "test": path}, **settings)
    assert message in str(caught.value)


def test_files_that_are_no_table_or_no_model(
    tmp_path: Path, cancer: Path, archives: dict[str, Path]
) -> None:
    other = tmp_path / "test.xlsx"
    other.write_bytes(b"PK")
    with pytest.raises(StageError, match="is no table that can be read"):
        evaluate(tmp_path, {"model": archives["tree"], "test": other})
    with pytest.raises(StageError, match=r'model "model" cannot predict .* no model archive'):
        evaluate(tmp_path, {"model": other, "test": cancer})
    narrow = table(tmp_path, np.ones((2, 3)), [0, 1], "narrow.csv")
    with pytest.raises(StageError, match="X has 3 features"):
        evaluate(tmp_path, {"model": archives["tree"], "test": narrow})


def test_what_a_recipe_may_say() -> None:
    config = EvaluateConfig(label="label", task="regression")
    assert config.declares({"a": "x.model", "test": "d.test"}).metrics == ("rmse", "mae", "r2")
    with pytest.raises(ValueError, match='one input must be called "test"'):
        config.declares({"a": "x.model"})
    with pytest.raises(ValueError, match="there is no model"):
        config.declares({"test": "d.test"})
    with pytest.raises(ValidationError, match="positive"):
        EvaluateConfig(label="label", task="regression", positive=2)


def test_evaluating_imports_no_mlflow(
    tmp_path: Path, cancer: Path, archives: dict[str, Path]
) -> None:
    code = f"""
import sys
from pathlib import Path
import mlpipe_mlflow
from mlpipe.testing import make_stage
inputs = {{"model": Path({str(archives["tree"])!r}), "test": Path({str(cancer)!r})}}
config = mlpipe_mlflow.EvaluateConfig(label="label", task="classification")
stage = make_stage(Path({str(tmp_path)!r}), "evaluate", inputs=inputs).stage
mlpipe_mlflow.evaluate(config=config, stage=stage)
assert "mlflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Bounds of metrics and gains over the champion, against scikit-learn on the same draws."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn import metrics
from sklearn.datasets import load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from mlpipe_mlflow import weighted
from mlpipe_mlflow.config import Bootstrap, EvaluateConfig
from mlpipe_mlflow.predictions import Scores
from mlpipe_mlflow.resampling import Draw, bounds, resample
from tests.plugins.mlflow.mlflow_evaluation import evaluate, table
from tests.plugins.mlflow.mlflow_project import pack

Array = np.ndarray[Any, Any]
Score = Callable[[Array, Array, Array], float]

BINARY: dict[str, Score] = {
    "accuracy": lambda t, g, p: metrics.accuracy_score(t, g),
    "balanced_accuracy": lambda t, g, p: metrics.balanced_accuracy_score(t, g),
    "precision": lambda t, g, p: metrics.precision_score(t, g, zero_division=0),
    "recall": lambda t, g, p: metrics.recall_score(t, g),
    "f1": lambda t, g, p: metrics.f1_score(t, g),
    "roc_auc": lambda t, g, p: metrics.roc_auc_score(t, p[:, 1]),
    "log_loss": lambda t, g, p: metrics.log_loss(t, p),
}
CLASSES: dict[str, Score] = {
    "accuracy": lambda t, g, p: metrics.accuracy_score(t, g),
    "balanced_accuracy": lambda t, g, p: metrics.balanced_accuracy_score(t, g),
    "precision": lambda t, g, p: metrics.precision_score(t, g, average="macro", zero_division=0),
    "recall": lambda t, g, p: metrics.recall_score(t, g, average="macro"),
    "f1": lambda t, g, p: metrics.f1_score(t, g, average="macro"),
    "roc_auc": lambda t, g, p: metrics.roc_auc_score(t, p, multi_class="ovr"),
    "log_loss": lambda t, g, p: metrics.log_loss(t, p),
}
NUMBERS: dict[str, Score] = {
    "rmse": lambda t, g, p: metrics.root_mean_squared_error(t, g),
    "mae": lambda t, g, p: metrics.mean_absolute_error(t, g),
    "r2": lambda t, g, p: metrics.r2_score(t, g),
}


def drawn(count: int, number: int) -> list[Array]:
    """Draw rows as ``bootstrap: {samples: number, seed: 3}`` does."""
    random = np.random.default_rng(3)
    return [random.integers(0, count, count) for _ in range(number)]


def expected_bounds(scores: dict[str, Score], arrays: tuple[Array, ...]) -> dict[str, Any]:
    rows = drawn(len(arrays[0]), 100)
    found = {}
    for name, score in scores.items():
        values = [score(*(each[draw] for each in arrays)) for draw in rows]
        found[f"{name}.lower"], found[f"{name}.upper"] = np.quantile(values, [0.05, 0.95])
    return found


@pytest.fixture(scope="module")
def noisy() -> tuple[Array, Array]:
    """Rows of two classes that overlap."""
    random = np.random.default_rng(11)
    rows = random.normal(size=(400, 2))
    return rows, (rows[:, 0] + random.normal(size=400) > 0).astype(int)


SAMPLES = {"samples": 100, "confidence": 0.9, "seed": 3}


def test_bounds_of_two_classes(tmp_path: Path, noisy: tuple[Array, Array]) -> None:
    rows, labels = noisy
    model = LogisticRegression().fit(rows[:200], labels[:200])
    inputs = {
        "model": pack(tmp_path / "m.tar.gz", model),
        "test": table(tmp_path, rows[200:], labels[200:]),
    }
    found = evaluate(tmp_path, inputs, bootstrap=SAMPLES)[0].metrics
    arrays = labels[200:], model.predict(rows[200:]), model.predict_proba(rows[200:])
    expected = expected_bounds(BINARY, arrays)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    for name in BINARY:
        assert found[f"{name}.lower"] <= found[name] <= found[f"{name}.upper"]
    config = EvaluateConfig(label="label", task="classification", bootstrap=Bootstrap())
    assert set(found) == set(config.declares({"model": "a.b", "test": "c.d"}).metrics)  # type: ignore[arg-type]


def test_bounds_of_more_classes(tmp_path: Path) -> None:
    data = load_iris()
    labels = data.target_names[data.target]
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(data.data[::2], labels[::2])
    rows, truth = data.data[1::2, :], labels[1::2]
    inputs = {
        "model": pack(tmp_path / "m.tar.gz", model),
        "test": table(tmp_path, rows, truth, "test.parquet"),
    }
    found = evaluate(tmp_path, inputs, bootstrap=SAMPLES)[0].metrics
    expected = expected_bounds(CLASSES, (truth, model.predict(rows), model.predict_proba(rows)))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_bounds_and_gains_of_a_regression(tmp_path: Path) -> None:
    data = load_diabetes()
    rows, truth = data.data[300:], data.target[300:]
    old = DecisionTreeRegressor(max_depth=2, random_state=0).fit(data.data[:300], data.target[:300])
    new = LinearRegression().fit(data.data[:300], data.target[:300])
    inputs = {
        "old": pack(tmp_path / "old.tar.gz", old),
        "new": pack(tmp_path / "new.tar.gz", new),
        "test": table(tmp_path, rows, truth),
    }
    settings = {"task": "regression", "bootstrap": SAMPLES, "champion": "old"}
    found = evaluate(tmp_path, inputs, **settings)[0].metrics
    one, other = new.predict(rows), old.predict(rows)
    assert {
        f"new.{k}": v for k, v in expected_bounds(NUMBERS, (truth, one, one)).items()
    }.items() <= {k: pytest.approx(v) for k, v in found.items()}.items()
    for name, score in NUMBERS.items():
        sign = 1 if name == "r2" else -1  # an error that shrinks is a gain
        gains = [
            sign * (score(truth[each], one[each], one) - score(truth[each], other[each], other))
            for each in drawn(len(truth), 100)
        ]
        lower, upper = np.quantile(gains, [0.05, 0.95])
        point = sign * (score(truth, one, one) - score(truth, other, other))
        assert found[f"new.{name}.gain"] == pytest.approx(point)
        assert found[f"new.{name}.gain.lower"] == pytest.approx(lower)
        assert found[f"new.{name}.gain.upper"] == pytest.approx(upper)
    assert not any(name.startswith("old.") and ".gain" in name for name in found)
    config = EvaluateConfig.model_validate({"label": "label", **settings})
    declared = config.declares(dict.fromkeys(inputs, "x.y")).metrics
    assert set(found) == set(declared)  # type: ignore[arg-type]


def test_the_same_model_twice_gains_nothing_for_sure(
    tmp_path: Path, noisy: tuple[Array, Array]
) -> None:
    rows, labels = noisy
    archive = pack(tmp_path / "m.tar.gz", LogisticRegression().fit(rows[:200], labels[:200]))
    inputs = {"old": archive, "new": archive, "test": table(tmp_path, rows[200:], labels[200:])}
    found = evaluate(tmp_path, inputs, bootstrap={"samples": 100}, champion="old")[0].metrics
    gains = {value for name, value in found.items() if ".gain" in name}
    assert gains == {0.0}  # both are measured on the same draws
    again = evaluate(tmp_path / "again", inputs, bootstrap={"samples": 100}, champion="old")[0]
    assert again.metrics == found
    other = evaluate(tmp_path / "seed", inputs, bootstrap={"samples": 100, "seed": 1})[0].metrics
    assert other["new.accuracy.lower"] != found["new.accuracy.lower"] or (
        other["new.log_loss.lower"] != found["new.log_loss.lower"]
    )


def test_gains_without_a_bootstrap(tmp_path: Path, noisy: tuple[Array, Array]) -> None:
    rows, labels = noisy
    archive = pack(tmp_path / "m.tar.gz", LogisticRegression().fit(rows[:200], labels[:200]))
    inputs = {"old": archive, "new": archive, "test": table(tmp_path, rows[200:], labels[200:])}
    found = evaluate(tmp_path, inputs, champion="old")[0].metrics
    assert {name for name in found if ".gain" in name} == {f"new.{name}.gain" for name in BINARY}
    assert not any(name.endswith((".lower", ".upper")) for name in found)


def test_nine_of_ten_bounds_hold_the_truth() -> None:
    """Models that are right seven times in ten, and the true accuracy within their bounds."""
    random = np.random.default_rng(0)
    held = 0
    for seed in range(200):
        truth = np.ones(150, dtype=int)
        guesses = (random.random(150) < 0.7).astype(int)
        measure = weighted.classification(truth, guesses, None, 1)

        def remeasure(draw: Draw, measure: weighted.Weighted = measure) -> dict[str, float]:
            return measure(draw.weights)

        settings = Bootstrap(samples=200, confidence=0.9, seed=seed)
        drawn = resample(150, settings, {"model": remeasure})["model"]["accuracy"]
        found = bounds(drawn, 0.9)
        assert found is not None
        held += found[0] <= 0.7 <= found[1]
    assert 165 <= held <= 195  # 180 are expected; outside once in 10,000


def test_weights_mean_what_they_mean_to_scikit_learn() -> None:
    random = np.random.default_rng(5)
    truth = random.integers(0, 3, 300)
    raw = random.random((300, 3)).round(1) + 0.05 + np.eye(3)[truth] * 0.3  # with ties
    likely = raw / raw.sum(axis=1, keepdims=True)
    guesses = likely.argmax(axis=1)
    weights = random.integers(0, 4, 300).astype(float)
    order = [2, 0, 1]  # a model's classes need not be sorted
    scores = Scores(likely[:, order], np.array(order))
    found = weighted.classification(truth, guesses, scores, 1)(weights)
    kwargs = {"sample_weight": weights}
    assert found == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(truth, guesses, **kwargs),
            "balanced_accuracy": metrics.balanced_accuracy_score(truth, guesses, **kwargs),
            "precision": metrics.precision_score(truth, guesses, average="macro", **kwargs),
            "recall": metrics.recall_score(truth, guesses, average="macro", **kwargs),
            "f1": metrics.f1_score(truth, guesses, average="macro", **kwargs),
            "roc_auc": metrics.roc_auc_score(truth, likely, multi_class="ovr", **kwargs),
            "log_loss": metrics.log_loss(truth, likely, **kwargs),
        }
    )


def test_a_metric_that_most_draws_cannot_have_gets_no_bounds(tmp_path: Path) -> None:
    rows = np.arange(12.0).reshape(-1, 1)
    labels = np.array([0] * 11 + [1])  # one of two draws or so has no second class
    assert bounds(np.array([0.5, np.nan, np.nan]), 0.9) is None
    assert bounds(np.array([0.5, 0.5, np.nan]), 0.9) == (0.5, 0.5)
    assert bounds(None, 0.9) is None
    model = LogisticRegression().fit(rows, labels)
    inputs = {"model": pack(tmp_path / "m.tar.gz", model), "test": table(tmp_path, rows, labels)}
    found = evaluate(tmp_path, inputs, bootstrap={"samples": 200})[0].metrics
    assert found["roc_auc.lower"] == found["roc_auc.upper"] == 1.0
    assert found["balanced_accuracy.lower"] <= found["balanced_accuracy"]


@pytest.mark.parametrize(
    "settings", [{"samples": 10}, {"confidence": 1.0}, {"seed": -1}, {"sample": 1000}]
)
def test_a_bootstrap_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EvaluateConfig.model_validate(
            {"label": "label", "task": "classification", "bootstrap": settings}
        )


def test_a_champion_that_is_no_input() -> None:
    config = EvaluateConfig(label="label", task="regression", champion="champion")
    with pytest.raises(ValueError, match=r'"champion" is no input; did you mean "champoin"\?'):
        config.declares({"champoin": "a.b", "new": "c.d", "test": "e.f"})
    with pytest.raises(ValueError, match='"champion" is no input; models: new'):
        config.declares({"new": "c.d", "test": "e.f"})
    with pytest.raises(ValueError, match="the only model"):
        config.declares({"champion": "c.d", "test": "e.f"})

"""Metrics of the project's own, and test sets that a model has seen."""

import hashlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, RidgeClassifier

import mlpipe_scriptmode
from mlpipe import Artifact, StageError
from mlpipe_mlflow.config import EvaluateConfig
from tests.plugins.mlflow.mlflow_evaluation import evaluate, table
from tests.plugins.mlflow.mlflow_project import SCRIPT, pack

SCORES = """
import numpy as np

def cost(truth, predictions, scores):
    return np.where(truth == predictions, 0, np.where(truth == 1, 5, 1)).mean()

def sure(truth, predictions, scores):
    if scores is None:
        return -1
    assert scores.shape == (len(truth), 3)
    return scores[:, 2].mean()  # columns are in the order of the sorted classes

def two_classes(truth, predictions, scores):
    if len(set(truth)) < 2:
        raise ValueError("one class only")
    return 1.0

def words(truth, predictions, scores):
    return "good"

def nothing(truth, predictions, scores):
    return float("nan")

def fails(truth, predictions, scores):
    return 1 / 0

number = 3
"""


@pytest.fixture
def scores(tmp_path: Path) -> Iterator[str]:
    """A module of the project's, under a name that no other test has imported."""
    name = f"scores_{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    (tmp_path / f"{name}.py").write_text(SCORES)
    yield name
    sys.modules.pop(name, None)
    sys.path[:] = [each for each in sys.path if each != str(tmp_path)]


@pytest.fixture
def binary(tmp_path: Path) -> dict[str, Path]:
    random = np.random.default_rng(2)
    rows = random.normal(size=(300, 2))
    labels = (rows[:, 0] + random.normal(size=300) > 0).astype(int)
    model = LogisticRegression().fit(rows[:150], labels[:150])
    old = LogisticRegression().fit(rows[:150, ::-1], labels[:150])
    return {
        "old": pack(tmp_path / "old.tar.gz", old),
        "new": pack(tmp_path / "new.tar.gz", model),
        "test": table(tmp_path, rows[150:], labels[150:]),
    }


def test_a_custom_metric_has_bounds_and_gains_as_any_other(
    tmp_path: Path, scores: str, binary: dict[str, Path]
) -> None:
    settings = {
        "custom": {"cost": f"{scores}:cost"},
        "lower_is_better": ["cost"],
        "bootstrap": {"samples": 100, "seed": 3},
        "champion": "old",
    }
    result, _, report = evaluate(tmp_path, binary, **settings)
    found = result.metrics
    (_, fp), (fn, _) = report["models"]["new"]["confusion"]["matrix"]
    assert found["new.cost"] == pytest.approx((5 * fn + fp) / 150)
    assert found["new.cost.lower"] < found["new.cost"] < found["new.cost.upper"]
    assert found["new.cost.gain"] == pytest.approx(found["old.cost"] - found["new.cost"])
    assert found["new.cost.gain.lower"] < found["new.cost.gain"] < found["new.cost.gain.upper"]
    assert found["new.cost.gain"] > 0
    config = EvaluateConfig.model_validate({"label": "label", "task": "classification", **settings})
    declared = config.declares(dict.fromkeys(binary, "x.y")).metrics
    assert set(found) == set(declared)  # type: ignore[arg-type]


def test_probabilities_come_by_sorted_class_or_not_at_all(tmp_path: Path, scores: str) -> None:
    data = load_iris()
    model = LogisticRegression(max_iter=500).fit(data.data[::2], data.target[::2])
    likely = model.predict_proba(data.data[1::2])[:, 2].mean()
    test = table(tmp_path, data.data[1::2], data.target[1::2])
    custom = {"sure": f"{scores}:sure"}
    inputs = {"model": pack(tmp_path / "m.tar.gz", model), "test": test}
    assert evaluate(tmp_path, inputs, custom=custom)[0].metrics["sure"] == pytest.approx(likely)
    plain = RidgeClassifier().fit(data.data[::2], data.target[::2])
    inputs = {"model": pack(tmp_path / "r.tar.gz", plain), "test": test}
    assert evaluate(tmp_path, inputs, custom=custom)[0].metrics["sure"] == -1


def test_draws_that_a_function_does_not_take_are_left_out(
    tmp_path: Path, scores: str, archives: dict[str, Path]
) -> None:
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    rows = np.r_[np.flatnonzero(data.target == 0)[-6:], np.flatnonzero(data.target == 1)[-2:]]
    test = table(tmp_path, data.data[rows], data.target[rows])
    found = evaluate(
        tmp_path,
        {"model": archives["linear"], "test": test},
        custom={"two": f"{scores}:two_classes"},
        bootstrap={"samples": 200},
    )[0].metrics
    assert (found["two.lower"], found["two.upper"]) == (1.0, 1.0)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("words", "gave 'good', no finite number"),
        ("nothing", "gave nan, no finite number"),
        ("fails", "failed: ZeroDivisionError: division by zero"),
        ("missing", "has no function missing"),
        ("number", "has no function number"),
    ],
)
def test_functions_that_measure_nothing(
    tmp_path: Path, scores: str, binary: dict[str, Path], function: str, message: str
) -> None:
    with pytest.raises(StageError, match=message) as caught:
        evaluate(tmp_path, binary, custom={"own": f"{scores}:{function}"})
    assert caught.value.where == "stages.quality.with.custom.own"


def test_a_module_that_is_not_there(tmp_path: Path, binary: dict[str, Path]) -> None:
    with pytest.raises(StageError, match="no_such_scores cannot be imported: ModuleNotFoundError"):
        evaluate(tmp_path, binary, custom={"own": "no_such_scores:f"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"custom": {"accuracy": "m:f"}}, '"accuracy" is a metric of task classification'),
        ({"custom": {"a.lower": "m:f"}}, "should match pattern"),
        ({"custom": {"own": "no function"}}, "should match pattern"),
        ({"lower_is_better": ["own"]}, '"own" in lower_is_better is no custom metric'),
    ],
)
def test_custom_metrics_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluateConfig.model_validate({"label": "label", "task": "classification", **settings})


def test_custom_metrics_are_traced(scores: str) -> None:
    config = EvaluateConfig.model_validate(
        {"label": "label", "task": "regression", "custom": {"own": f"{scores}:cost"}}
    )
    assert [(path, str(role), value) for path, role, value in config.roles()] == [
        (("custom", "own"), "function", f"{scores}:cost")
    ]


# -- rows that a model has seen ---------------------------------------------------------------


def trained_with(folder: Path, data: object) -> Path:
    """Pack a model whose archive says what it was trained with."""
    import joblib

    (folder / "model").mkdir(parents=True)
    model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    joblib.dump(model, folder / "model" / "model.joblib")
    script = folder / "serve.py"
    script.write_text(textwrap.dedent(SCRIPT))
    archive = folder / "model.tar.gz"
    facts = {"data": data}
    mlpipe_scriptmode.pack(folder / "model", {"serve.py": script}, "serve.py", archive, facts)
    return archive


@pytest.mark.parametrize("kind", ["sha256", "md5"])
@pytest.mark.parametrize("known", ["sha256", "md5"])
def test_rows_that_a_model_was_tuned_with_are_refused(
    tmp_path: Path, kind: str, known: str
) -> None:
    test = table(tmp_path, [[0.0], [3.0]], [0, 1])
    digests = {
        name: f"{name}:{hashlib.new(name, test.read_bytes()).hexdigest()}"
        for name in ("sha256", "md5")
    }
    other = f"{kind}:{hashlib.new(kind, b'other').hexdigest()}"
    seen = trained_with(tmp_path / "seen", {"train": other, "validation": digests[kind]})
    rows = Artifact("test", digests[known], str(test))
    with pytest.raises(StageError) as caught:
        evaluate(tmp_path, {"model": seen, "test": rows})
    assert caught.value.what == (
        'model "model" has seen the test set: it was its channel "validation"'
    )
    assert caught.value.where == "stages.quality.inputs.model"
    assert "split them off" in (caught.value.fix or "")
    fresh = trained_with(tmp_path / "fresh", {"train": other})
    result, _, _ = evaluate(tmp_path / "again", {"model": fresh, "test": rows})
    assert result.metrics["accuracy"] == 1.0


def test_what_a_model_does_not_say_refuses_nothing(
    tmp_path: Path, archives: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    test = table(tmp_path, [[0.0], [3.0]], [0, 1])
    folder = trained_with(tmp_path / "a", {"train": "md5:00.dir", "more": "xxh3:1"})
    evaluate(tmp_path, {"model": folder, "test": test})
    assert "does not say" not in capsys.readouterr().out
    evaluate(tmp_path / "b", {"model": trained_with(tmp_path / "c", "all"), "test": test})
    assert 'model "model" does not say what it was trained with' in capsys.readouterr().out

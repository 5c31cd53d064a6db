"""Metrics of predictions against the truth, computed by scikit-learn."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpipe import Scalar
from mlpipe.errors import StageError
from mlpipe_mlflow.predictions import Scores

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Confusion:
    """Which class was taken for which.

    Attributes:
        labels: The classes, sorted.
        counts: A row for each true class, a column for each predicted one.
    """

    labels: tuple[Any, ...] = ()
    counts: tuple[tuple[int, ...], ...] = ()


def regression(truth: "Array", guesses: "Array") -> dict[str, float]:
    """Measure numbers: root mean squared and mean absolute error, in the label's unit, and R²."""
    from sklearn import metrics

    found = {
        "rmse": metrics.root_mean_squared_error(truth, guesses),
        "mae": metrics.mean_absolute_error(truth, guesses),
    }
    if len(truth) > 1:  # with a single row R² is undefined
        found["r2"] = metrics.r2_score(truth, guesses)
    return {name: float(value) for name, value in found.items()}


def classification(
    truth: "Array", guesses: "Array", scores: Scores | None, positive: Scalar, where: str
) -> tuple[dict[str, float], Confusion]:
    """Measure classes.

    Precision, recall and f1 are those of the positive class where there are two classes, and
    means over all classes where there are more.

    Raises:
        StageError: There are two classes, and neither is the positive one.
    """
    import numpy as np
    from sklearn import metrics

    labels = np.unique(np.concatenate([truth, guesses]))
    average = _classes_to_average(labels, positive, where)
    parts = metrics.precision_recall_fscore_support(
        truth, guesses, labels=average, average="macro", zero_division=0
    )
    confusion = np.zeros((len(labels), len(labels)), dtype=int)
    np.add.at(confusion, (np.searchsorted(labels, truth), np.searchsorted(labels, guesses)), 1)
    found = {
        "accuracy": metrics.accuracy_score(truth, guesses),
        "balanced_accuracy": _mean_recall(confusion),
        **dict(zip(("precision", "recall", "f1"), parts[:3], strict=True)),
        **(_of_scores(truth, scores, positive) if scores else {}),
    }
    counts = tuple(tuple(row) for row in confusion.tolist())
    numbers = {name: float(value) for name, value in found.items()}
    return numbers, Confusion(tuple(labels.tolist()), counts)


def _classes_to_average(labels: "Array", positive: Scalar, where: str) -> list[Any]:
    known: list[Any] = labels.tolist()
    if len(known) > 2:
        return known
    if len(known) == 2 and positive not in known:
        raise StageError(
            f"{positive!r} is not one of the classes, {known[0]!r} and {known[1]!r}",
            where=f"{where}.with.positive",
            fix=f"Say which is the positive one: positive: {known[1]}",
        )
    return [positive]


def _mean_recall(confusion: "Array") -> float:
    """Average the recall over the classes that the truth has."""
    rows = [(row[i], row.sum()) for i, row in enumerate(confusion) if row.sum()]
    return float(sum(right / total for right, total in rows) / len(rows))


def _of_scores(truth: "Array", scores: Scores, positive: Scalar) -> dict[str, float]:
    """Give what probabilities tell, as far as it is defined for these labels."""
    import numpy as np
    from sklearn import metrics

    classes = scores.classes.tolist()
    seen = set(np.unique(truth).tolist())
    if not seen <= set(classes) or len(classes) < 2:
        return {}
    known = scores.ordered()
    found = {}
    if len(classes) == 2 and len(seen) == 2 and positive in classes:
        likely = scores.probabilities[:, classes.index(positive)]
        found["roc_auc"] = metrics.roc_auc_score(truth == positive, likely)
    elif len(seen) == len(classes) > 2:
        found["roc_auc"] = metrics.roc_auc_score(
            truth, known.shares(), multi_class="ovr", labels=known.classes
        )
    found["log_loss"] = metrics.log_loss(truth, known.probabilities, labels=known.classes)
    return found

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
class Measured:
    """How good a model is.

    Attributes:
        metrics: Finite numbers by name.
        labels: The classes, for a classification.
        confusion: Counts; a row for each true class, a column for each predicted one.
    """

    metrics: dict[str, float]
    labels: tuple[Any, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Give it as it stands in the report."""
        if not self.labels:
            return {"metrics": self.metrics}
        matrix = [list(row) for row in self.confusion]
        return {
            "metrics": self.metrics,
            "confusion": {"labels": list(self.labels), "matrix": matrix},
        }


def regression(truth: "Array", guesses: "Array") -> Measured:
    """Measure numbers: root mean squared and mean absolute error, in the label's unit, and R²."""
    from sklearn import metrics

    found = {
        "rmse": metrics.root_mean_squared_error(truth, guesses),
        "mae": metrics.mean_absolute_error(truth, guesses),
    }
    if len(truth) > 1:  # with a single row R² is undefined
        found["r2"] = metrics.r2_score(truth, guesses)
    return Measured({name: float(value) for name, value in found.items()})


def classification(
    truth: "Array", guesses: "Array", scores: Scores | None, positive: Scalar, where: str
) -> Measured:
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
    return Measured(
        {name: float(value) for name, value in found.items()},
        tuple(labels.tolist()),
        tuple(tuple(row) for row in confusion.tolist()),
    )


def _classes_to_average(labels: "Array", positive: Scalar, where: str) -> list[Any]:
    known: list[Any] = labels.tolist()
    if len(known) > 2:
        return known
    if len(known) == 2 and positive not in known:
        raise StageError(
            f"{positive!r} is not one of the classes, {known[0]!r} and {known[1]!r}",
            where=f"{where.rsplit('.inputs.', 1)[0]}.with.positive",
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
    order = np.argsort(scores.classes)
    probabilities, ordered = scores.probabilities[:, order], scores.classes[order]
    found = {"log_loss": metrics.log_loss(truth, probabilities, labels=ordered)}
    if len(classes) == 2 and len(seen) == 2 and positive in classes:
        likely = scores.probabilities[:, classes.index(positive)]
        found["roc_auc"] = metrics.roc_auc_score(truth == positive, likely)
    elif len(seen) == len(classes) > 2:
        totals = probabilities.sum(axis=1, keepdims=True)
        found["roc_auc"] = metrics.roc_auc_score(
            truth, probabilities / totals, multi_class="ovr", labels=ordered
        )
    return found


def text(name: str, measured: Measured) -> str:
    """Write a model's metrics and confusion matrix for the log."""
    lines = [name, *(f"  {metric:<18} {value:.6g}" for metric, value in measured.metrics.items())]
    if measured.labels:
        labels = [str(label) for label in measured.labels]
        cells = [str(count) for row in measured.confusion for count in row]
        width = max(map(len, [*labels, *cells]))
        lines += [
            "  confusion (rows: truth, columns: predicted)",
            f"    {_line(['', *labels], width)}",
        ]
        lines += [
            f"    {_line([label, *map(str, row)], width)}"
            for label, row in zip(labels, measured.confusion, strict=True)
        ]
    return "\n".join(lines)


def _line(cells: list[str], width: int) -> str:
    return "  ".join(cell.rjust(width) for cell in cells)

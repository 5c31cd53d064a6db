"""What a model predicts: checked against the labels, with its probabilities."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError

if TYPE_CHECKING:
    import numpy as np

    from mlpipe_scriptmode import Model

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Scores:
    """What a classifier thinks of each class.

    Attributes:
        probabilities: Shape (rows, classes).
        classes: The columns' classes.
    """

    probabilities: "Array"
    classes: "Array"

    def of(self, rows: "Array") -> "Scores":
        """Give those of some rows."""
        return Scores(self.probabilities[rows], self.classes)

    def ordered(self) -> "Scores":
        """Give the same with the classes sorted."""
        import numpy as np

        order = np.argsort(self.classes)
        return Scores(self.probabilities[:, order], self.classes[order])

    def shares(self) -> "Array":
        """Give probabilities that add up to 1 in each row; as they are where they do already.

        Dividing those again would tell equal ones apart by their last digits.
        """
        import numpy as np

        totals: Array = self.probabilities.sum(axis=1, keepdims=True)
        return self.probabilities if np.allclose(totals, 1) else self.probabilities / totals


def check_truth(truth: "Array", task: str, where: str) -> None:
    """Look whether labels suit the task.

    Raises:
        StageError: A regression's labels are no finite numbers.
    """
    import numpy as np

    if task == "regression" and not (_numeric(truth) and np.isfinite(truth.astype(float)).all()):
        raise StageError(
            "the labels of a regression must be finite numbers",
            where=f"{where}.label",
            fix="Name another column, or say task: classification.",
        )


def checked(predicted: object, truth: "Array", task: str, what: str, where: str) -> "Array":
    """Give predictions as an array like the truth's.

    Args:
        predicted: What the model gave.
        truth: Labels, of shape (rows,).
        task: ``classification`` or ``regression``.
        what: Whose predictions they are, and
        where: where that stands; for errors.

    Raises:
        StageError: They are not one prediction a row, or no classes, or no numbers.
    """
    import numpy as np

    try:
        guesses = np.asarray(predicted)
    except ValueError as error:
        raise StageError(f"{what} gave rows of different lengths", where=where) from error
    if guesses.ndim == 2 and guesses.shape[1] == 1:
        guesses = guesses.ravel()
    if guesses.shape != truth.shape:
        raise StageError(
            f"{what} gave predictions of shape {guesses.shape} for {len(truth)} rows",
            where=where,
            fix="Its predict_fn must give one prediction for each row.",
        )
    problem = _no_number(guesses) if task == "regression" else _no_class(guesses, truth)
    if problem:
        raise StageError(
            f"{what} {problem[0]}", where=where, fix=f"Its predict_fn must give {problem[1]}."
        )
    return guesses


def _no_number(guesses: "Array") -> tuple[str, str] | None:
    import numpy as np

    if _numeric(guesses) and np.isfinite(guesses.astype(float)).all():
        return None
    return "gave predictions that are no finite numbers", "finite numbers"


def _no_class(guesses: "Array", truth: "Array") -> tuple[str, str] | None:
    import numpy as np

    if _numeric(guesses) != _numeric(truth):
        kinds = ("text", "numbers") if _numeric(truth) else ("numbers", "text")
        return f"gave {kinds[0]} where the labels are {kinds[1]}", "classes as the labels are"
    if _numeric(guesses):
        seen = np.unique(guesses.astype(float))
        whole = np.equal(truth.astype(float), np.floor(truth.astype(float))).all()
        if not np.isfinite(seen).all() or (whole and np.not_equal(seen, np.floor(seen)).any()):
            return "gave scores where classes are wanted", "classes, not scores"
    return None


def _numeric(values: "Array") -> bool:
    return values.dtype.kind in "biuf"


def scores_of(model: "Model", rows: "Array", guesses: "Array") -> Scores | None:
    """Ask a model for probabilities, where what it predicts follows from them.

    A script with a ``predict_fn`` of its own may prepare rows before it asks the model; the
    model's probabilities of raw rows then mean nothing, which shows in other predictions.
    """
    import numpy as np

    predict_proba = getattr(model.model, "predict_proba", None)
    classes = getattr(model.model, "classes_", None)
    if predict_proba is None or classes is None:
        return None
    try:
        probabilities = np.asarray(predict_proba(rows), dtype=float)
        classes = np.asarray(classes)
        if probabilities.shape != (len(rows), len(classes)):
            return None
        likeliest = classes[probabilities.argmax(axis=1)]
        own = getattr(model.script, "predict_fn", None) is not None
        if not np.isfinite(probabilities).all() or (own and not np.array_equal(likeliest, guesses)):
            return None
    except Exception as error:  # a model's code may raise anything; its classes are measured
        print(f"no probabilities: {type(error).__name__}: {error}", flush=True)
        return None
    return Scores(probabilities, classes)

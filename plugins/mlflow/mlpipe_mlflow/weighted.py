"""The metrics as functions of how often each row counts: what drawing rows anew needs.

The same numbers as scikit-learn's with ``sample_weight``, for a fraction of the time: what does
not depend on the weights, as the order of the scores, is computed once. A metric that is undefined
for some weights, as the area under the curve of one class, is left out or not finite.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mlpipe import Scalar
from mlpipe_mlflow.predictions import Scores

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Gives metrics by name for weights of shape (rows,).
Weighted = Callable[["Array"], dict[str, float]]


def regression(truth: "Array", guesses: "Array") -> Weighted:
    """Give rmse, mae and R²."""
    import numpy as np

    truth, errors = truth.astype(float), np.asarray(guesses - truth, dtype=float)
    squares, sizes = errors**2, np.abs(errors)

    def measure(weights: "Array") -> dict[str, float]:
        total = weights.sum()
        spread = weights @ (truth - (weights @ truth) / total) ** 2
        return {
            "rmse": float(np.sqrt(weights @ squares / total)),
            "mae": float(weights @ sizes / total),
            "r2": float(1 - weights @ squares / spread) if spread > 0 else np.nan,
        }

    return measure


def classification(
    truth: "Array", guesses: "Array", scores: Scores | None, positive: Scalar
) -> Weighted:
    """Give what predicted classes tell, and what probabilities do where there are some."""
    import numpy as np

    labels = np.unique(np.concatenate([truth, guesses]))
    places = np.searchsorted(labels, truth), np.searchsorted(labels, guesses)
    one = None if len(labels) > 2 else np.flatnonzero(labels == positive)
    parts = [_of_classes(*places, len(labels), one)]
    if scores is not None:
        parts += _of_scores(truth, scores, positive)

    def measure(weights: "Array") -> dict[str, float]:
        return {name: value for part in parts for name, value in part(weights).items()}

    return measure


def _of_classes(truth: "Array", guesses: "Array", many: int, one: "Array | None") -> Weighted:
    """Measure classes, each given as its place among all.

    Args:
        truth: The true class of each row.
        guesses: The predicted one.
        many: How many classes there are.
        one: The place of the positive class where there are two; ``None`` stands for all.
    """
    import numpy as np

    right = np.flatnonzero(truth == guesses)
    both = truth[right]

    def measure(weights: "Array") -> dict[str, float]:
        hits = np.bincount(both, weights[right], many)
        are, said = np.bincount(truth, weights, many), np.bincount(guesses, weights, many)
        recall = _ratio(hits, are)
        asked = np.flatnonzero(are + said) if one is None else one
        means = {
            "precision": _ratio(hits, said),
            "recall": recall,
            "f1": _ratio(2 * hits, are + said),
        }
        return {
            "accuracy": float(hits.sum() / weights.sum()),
            "balanced_accuracy": float(recall[are > 0].mean()),
            **{k: float(each[asked].mean() if len(asked) else 0) for k, each in means.items()},
        }

    return measure


def _ratio(parts: "Array", wholes: "Array") -> "Array":
    import numpy as np

    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)


def _of_scores(truth: "Array", scores: Scores, positive: Scalar) -> Sequence[Weighted]:
    classes = scores.classes.tolist()
    if len(classes) < 2 or not set(truth.tolist()) <= set(classes):
        return ()
    loss = _log_loss(truth, scores)
    if len(classes) == 2:
        if positive not in classes:
            return (loss,)
        likely = scores.probabilities[:, classes.index(positive)]
        areas = [_area(truth == positive, likely)]
    else:
        shares = scores.shares()
        areas = [_area(truth == each, shares[:, i]) for i, each in enumerate(classes)]
    return loss, lambda weights: {"roc_auc": sum(area(weights) for area in areas) / len(areas)}


def _log_loss(truth: "Array", scores: Scores) -> Weighted:
    import numpy as np

    known = scores.ordered()
    columns = np.searchsorted(known.classes, truth)
    tiny = np.finfo(float).eps
    likely = known.probabilities[np.arange(len(truth)), columns]
    losses = -np.log(np.clip(likely, tiny, 1 - tiny))
    return lambda weights: {"log_loss": float(weights @ losses / weights.sum())}


def _area(hits: "Array", scores: "Array") -> Callable[["Array"], float]:
    """Give the area under the ROC curve: how often a hit has the higher score, ties half."""
    import numpy as np

    order = np.argsort(scores, kind="stable")
    hits, scores = hits[order], scores[order]
    # Rows of one score are a group; of each hit, where its group begins and ends.
    starts = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1]])
    groups = np.searchsorted(starts, np.flatnonzero(hits), side="right") - 1
    lows, highs = starts[groups], np.r_[starts[1:], len(scores)][groups]
    places, before = order[hits], np.r_[0, np.cumsum(hits)]
    hits_low, hits_high = before[lows], before[highs]

    def area(weights: "Array") -> float:
        drawn = weights[places]
        good = np.r_[0.0, np.cumsum(drawn)]
        total = np.r_[0.0, np.cumsum(weights[order])]
        others = (total[lows] + total[highs] - good[hits_low] - good[hits_high]) / 2
        pairs = good[-1] * (total[-1] - good[-1])
        return float(drawn @ others / pairs) if pairs else np.nan

    return area

"""The figures of a report: how a model's predictions stand to the truth."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlpipe import Scalar
from mlpipe_mlflow.predictions import Scores
from mlpipe_pages import INK, SOFT, Plot, series

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes

    Array = np.ndarray[Any, Any]

#: More classes than these, points and steps of a curve make a figure heavy and tell no more.
_CLASSES = 10
_POINTS = 2000
_STEPS = 300
_BINS = 10
#: More names than these stand in two columns.
_FEW = 5


def of_scores(truth: "Array", scores: Scores, positive: Scalar) -> list[Plot]:
    """Draw what probabilities tell: ROC, precision and recall, calibration.

    Of two classes, they are drawn for the positive one; of more, for each against the others.
    """
    known = _one_against_others(truth, scores, positive)
    if not known:
        return []
    which = "" if len(known) == 1 else " of each class against the others"
    return [_roc(known, which), _precision_recall(known, which), _calibration(known, which)]


_Class = tuple[str, "Array", "Array"]


def _one_against_others(truth: "Array", scores: Scores, positive: Scalar) -> list[_Class]:
    """Give (name, hits, probabilities) of the most frequent classes that have a curve.

    Args:
        truth: Labels.
        scores: Probabilities of the classes.
        positive: The one to draw, where there are two.
    """
    classes = scores.classes.tolist()
    asked = [positive] if len(classes) == 2 and positive in classes else classes
    found = [
        (str(each), truth == each, scores.probabilities[:, classes.index(each)]) for each in asked
    ]
    found = [each for each in found if 0 < each[1].sum() < len(truth)]
    by_frequency = sorted(range(len(found)), key=lambda i: -int(found[i][1].sum()))
    return [found[i] for i in sorted(by_frequency[:_CLASSES])]


def _roc(known: Sequence[_Class], which: str) -> Plot:
    from sklearn import metrics

    curves = [(name, *metrics.roc_curve(hits, likely)[:2]) for name, hits, likely in known]
    areas = {name: metrics.auc(x, y) for name, x, y in curves}

    def draw(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linestyle=":", linewidth=1)
        _lines(axes, curves)
        axes.set(xlabel="false positive rate", ylabel="true positive rate")

    return Plot(f"ROC curve{which}", _listed("Area under the curve", areas), draw)


def _precision_recall(known: Sequence[_Class], which: str) -> Plot:
    from sklearn import metrics

    found = [
        (name, *metrics.precision_recall_curve(hits, likely)[:2]) for name, hits, likely in known
    ]
    curves = [(name, recall, precision) for name, precision, recall in found]
    means = {name: metrics.average_precision_score(hits, likely) for name, hits, likely in known}

    def draw(axes: "Axes") -> None:
        _lines(axes, curves, drawstyle="steps-post")
        axes.set(xlabel="recall", ylabel="precision", ylim=(-0.03, 1.03))

    return Plot(f"Precision and recall{which}", _listed("Average precision", means), draw)


def _calibration(known: Sequence[_Class], which: str) -> Plot:
    curves = [(name, *_calibrated(hits, likely)) for name, hits, likely in known]
    errors = {name: float(((likely - hits) ** 2).mean()) for name, hits, likely in known}

    def draw(axes: "Axes") -> None:
        axes.plot([0, 1], [0, 1], color=SOFT, linestyle=":", linewidth=1)
        _lines(axes, curves, marker="o")
        axes.set(xlabel="mean predicted probability", ylabel="share that is of the class")

    return Plot(f"Calibration{which}", _listed("Brier score, 0 is best", errors), draw)


def _calibrated(hits: "Array", likely: "Array") -> tuple["Array", "Array"]:
    """Give mean probability and share of hits in bins of about as many rows each."""
    import numpy as np

    edges = np.unique(np.quantile(likely, np.linspace(0, 1, _BINS + 1)[1:-1]))
    bins = np.searchsorted(edges, likely, side="right")  # equal probabilities stay together
    groups = [bins == each for each in np.unique(bins)]
    return (
        np.array([likely[each].mean() for each in groups]),
        np.array([hits[each].mean() for each in groups]),
    )


def of_numbers(truth: "Array", guesses: "Array") -> list[Plot]:
    """Draw predicted against actual numbers, and residuals."""
    import numpy as np

    truth, guesses = truth.astype(float), guesses.astype(float)
    residuals = guesses - truth
    shown = np.linspace(0, len(truth) - 1, min(_POINTS, len(truth))).astype(int)
    note = "" if len(shown) == len(truth) else f" {len(shown):,} of {len(truth):,} rows are shown."
    ends = [min(truth.min(), guesses.min()), max(truth.max(), guesses.max())]

    def against(axes: "Axes") -> None:
        axes.plot(ends, ends, color=SOFT, linestyle=":", linewidth=1)
        _dots(axes, truth[shown], guesses[shown])
        axes.set(xlabel="actual", ylabel="predicted")

    def left(axes: "Axes") -> None:
        axes.axhline(0, color=SOFT, linestyle=":", linewidth=1)
        _dots(axes, guesses[shown], residuals[shown])
        axes.set(xlabel="predicted", ylabel="predicted - actual")

    def spread(axes: "Axes") -> None:
        axes.hist(residuals, bins=30, color=series(0)["color"])
        axes.axvline(0, color=INK, linestyle=":", linewidth=1)
        axes.set(xlabel="predicted - actual", ylabel="rows")

    middle = f"Mean {residuals.mean():.4g}, standard deviation {residuals.std():.4g}."
    likeness = f"Dots on the line are right.{note}"
    return [
        Plot("Predicted and actual", likeness, against),
        Plot("Residuals", f"{middle}{note}", left),
        Plot("Distribution of residuals", middle, spread),
    ]


def _lines(axes: "Axes", curves: "Sequence[tuple[str, Array, Array]]", **style: Any) -> None:
    import numpy as np

    for number, (name, x, y) in enumerate(curves):
        kept = np.unique(np.linspace(0, len(x) - 1, min(_STEPS, len(x))).astype(int))
        label = f"\u200b{name}"  # a legend leaves out what begins with _
        axes.plot(x[kept], y[kept], label=label, markersize=4, **series(number), **style)
    if len(curves) > 1:
        axes.legend(ncols=1 if len(curves) <= _FEW else 2, loc="best")


def _dots(axes: "Axes", x: "Array", y: "Array") -> None:
    axes.plot(x, y, "o", color=series(0)["color"], markersize=3, alpha=0.5, markeredgewidth=0)


def _listed(what: str, values: dict[str, float]) -> str:
    if len(values) == 1:
        return f"{what}: {next(iter(values.values())):.4g}."
    return f"{what}: {', '.join(f'{name} {value:.4g}' for name, value in values.items())}."

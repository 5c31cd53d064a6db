"""What evaluating says in the stage's log."""

from collections.abc import Sequence

from mlpipe_mlflow.measuring import Confusion
from mlpipe_mlflow.values import Estimate, Measured

#: A larger confusion matrix is in the JSON report only.
MOST_CLASSES = 30


def text(name: str, measured: Measured) -> str:
    """Write a model's metrics, their bounds and its confusion matrix."""
    lines = [name, *(_metric(metric, each) for metric, each in measured.metrics.items())]
    if measured.gains:
        lines.append("  better than the champion by")
        lines += [_metric(metric, each) for metric, each in measured.gains.items()]
    confusion = measured.confusion
    if confusion is not None and len(confusion.labels) <= MOST_CLASSES:
        lines += _matrix(confusion)
    return "\n".join(lines)


def interval(estimate: Estimate) -> str:
    """Write the bounds of a number, or nothing where it has none."""
    if estimate.bounds is None:
        return ""
    lower, upper = estimate.bounds
    return f"{lower:.4g} to {upper:.4g}"


def _metric(name: str, estimate: Estimate) -> str:
    bounds = f"  ({interval(estimate)})" if estimate.bounds else ""
    return f"  {name:<18} {estimate.value:.6g}{bounds}"


def _matrix(confusion: Confusion) -> list[str]:
    labels = [str(label) for label in confusion.labels]
    cells = [str(count) for row in confusion.counts for count in row]
    width = max(map(len, [*labels, *cells]))
    return [
        "  confusion (rows: truth, columns: predicted)",
        f"    {_line(['', *labels], width)}",
        *(
            f"    {_line([label, *map(str, row)], width)}"
            for label, row in zip(labels, confusion.counts, strict=True)
        ),
    ]


def _line(cells: Sequence[str], width: int) -> str:
    return "  ".join(cell.rjust(width) for cell in cells)

"""How sure metrics are: the bootstrap, measuring again on rows drawn with replacement.

All models are measured on the same draws, so that the difference of two is as sure as it can be.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpipe_mlflow.config import Bootstrap

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Bounds are given for metrics that are defined in at least this share of the draws.
_DEFINED = 0.5


@dataclass(frozen=True, slots=True)
class Draw:
    """Rows drawn with replacement.

    Attributes:
        rows: Their numbers, as many as there are rows.
        weights: How often each row was drawn.
    """

    rows: "Array"
    weights: "Array"


#: Measures a model on a draw: metrics by name.
Remeasure = Callable[[Draw], Mapping[str, float]]


def resample(
    count: int, settings: Bootstrap, models: Mapping[str, Remeasure]
) -> dict[str, dict[str, "Array"]]:
    """Measure models on many draws of the rows.

    Args:
        count: How many rows there are.
        settings: How many draws, and from which seed.
        models: What measures each.

    Returns:
        By model and metric, a value for each draw; not a number where it was undefined.
    """
    import numpy as np

    random = np.random.default_rng(settings.seed)
    found: dict[str, dict[str, Array]] = {name: {} for name in models}
    for number in range(settings.samples):
        rows = random.integers(0, count, count)
        draw = Draw(rows, np.bincount(rows, minlength=count).astype(float))
        for name, remeasure in models.items():
            for metric, value in remeasure(draw).items():
                if metric not in found[name]:
                    found[name][metric] = np.full(settings.samples, np.nan)
                found[name][metric][number] = value
    return found


def bounds(values: "Array | None", confidence: float) -> tuple[float, float] | None:
    """Give the bounds that hold the middle share of values, or ``None`` where too few are defined.

    Args:
        values: Of a metric, one for each draw.
        confidence: The share between the bounds.
    """
    import numpy as np

    if values is None:
        return None
    defined = values[np.isfinite(values)]
    if len(defined) < _DEFINED * len(values):
        return None
    beyond = (1 - confidence) / 2
    lower, upper = np.quantile(defined, [beyond, 1 - beyond])
    return float(lower), float(upper)

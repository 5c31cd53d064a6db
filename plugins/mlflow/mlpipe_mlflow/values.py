"""What evaluating gives: metrics, their bounds, and how models stand to the champion."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpipe_mlflow.measuring import Confusion
from mlpipe_mlflow.predictions import Scores

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows to predict.

    Attributes:
        features: One row each.
        truth: Labels, as many.
    """

    features: "Array"
    truth: "Array"


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model makes of the rows.

    Attributes:
        guesses: A prediction for each row.
        scores: What it thinks of each class, where it says so.
    """

    guesses: "Array"
    scores: Scores | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number, and how sure it is.

    Attributes:
        value: On the test rows.
        bounds: The lower and the upper, where rows were drawn anew and it was defined.
    """

    value: float
    bounds: tuple[float, float] | None = None

    def named(self, name: str) -> dict[str, float]:
        """Give it as metrics: the name's, and its ``.lower`` and ``.upper``."""
        if self.bounds is None:
            return {name: self.value}
        return {name: self.value, f"{name}.lower": self.bounds[0], f"{name}.upper": self.bounds[1]}


@dataclass(frozen=True, slots=True)
class Measured:
    """How good a model is.

    Attributes:
        metrics: By name.
        gains: By metric: by how much the model is better than the champion.
        confusion: Of a classification.
    """

    metrics: dict[str, Estimate]
    gains: dict[str, Estimate]
    confusion: Confusion | None = None

    def named(self) -> dict[str, float]:
        """Give all numbers by the names that gates use."""
        found = {k: v for name, each in self.metrics.items() for k, v in each.named(name).items()}
        for name, each in self.gains.items():
            found.update(each.named(f"{name}.gain"))
        return found

    def to_json(self) -> dict[str, Any]:
        """Give it as it stands in the report."""
        if self.confusion is None:
            return {"metrics": self.named()}
        matrix = [list(row) for row in self.confusion.counts]
        confusion = {"labels": list(self.confusion.labels), "matrix": matrix}
        return {"metrics": self.named(), "confusion": confusion}

"""Custom metrics: functions of the project, called with truth, predictions and probabilities."""

import importlib
import math
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe.errors import MlpipeError, StageError
from mlpipe_mlflow.values import Predicted

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class CustomMetric:
    """A metric of the project's own.

    Attributes:
        name: The metric's.
        reference: ``module:function``.
        function: What was imported.
        where: What errors name.
    """

    name: str
    reference: str
    function: Callable[..., Any]
    where: str

    def measure(self, truth: "Array", predicted: Predicted) -> float:
        """Measure a model on all rows.

        Raises:
            StageError: The function raised, or gave no finite number.
        """
        try:
            given = self._call(truth, predicted)
        except MlpipeError:
            raise
        except Exception as error:
            traceback.print_exc()
            raise StageError(
                f"{self.reference} failed: {type(error).__name__}: {error}",
                where=self.where,
                fix="It is called with truth, predictions and probabilities (or None); "
                "see the traceback in the stage's log.",
            ) from error
        value = _number(given)
        if not math.isfinite(value):
            raise StageError(f"{self.reference} gave {given!r}, no finite number", where=self.where)
        return value

    def remeasure(self, rows: "Array", truth: "Array", predicted: Predicted) -> float:
        """Measure a model on rows drawn anew; not a number where the function cannot."""
        scores = predicted.scores
        drawn = Predicted(predicted.guesses[rows], scores.of(rows) if scores is not None else None)
        try:
            return _number(self._call(truth[rows], drawn))
        except Exception:  # some draws have a single class, which many metrics do not take
            return math.nan

    def _call(self, truth: "Array", predicted: Predicted) -> Any:
        scores = predicted.scores
        probabilities = scores.ordered().probabilities if scores is not None else None
        return self.function(truth, predicted.guesses, probabilities)


def load(name: str, reference: str, root: Path, where: str) -> CustomMetric:
    """Import a metric's function.

    Args:
        name: The metric's name.
        reference: ``module:function``.
        root: The project's folder, which modules are found from.
        where: What errors name.

    Raises:
        StageError: There is no such module or function, or importing it fails.
    """
    module_name, _, function_name = reference.partition(":")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a project's module may raise anything
        raise StageError(
            f"{module_name} cannot be imported: {type(error).__name__}: {error}",
            where=where,
            fix="Name a module as it is imported from the project's folder.",
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise StageError(f"{module_name} has no function {function_name}", where=where)
    return CustomMetric(name, reference, function, where)


def _number(given: Any) -> float:
    try:
        return float(given)
    except (TypeError, ValueError):
        return math.nan

"""``python.VERB``: a function of the project is the stage."""

import importlib
import json
import numbers
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpipe.errors import StageError
from mlpipe.plugins.config import OPEN, Declares, Function, OutputPath, StageConfig
from mlpipe.plugins.markers import hookimpl
from mlpipe.plugins.stage import Stage
from mlpipe.types import StageResult


class PythonConfig(StageConfig):
    """Call a function of the project.

    Inputs and outputs arrive as ``pathlib.Path`` arguments by name, ``args`` as keywords. Of
    the mapping that it returns, numbers become metrics and other JSON values become values.

    Attributes:
        function: ``module:function``, importable from the project root.
        outputs: Where each output belongs in the project, by name.
        metrics: Names of the metrics that it returns, so that gates are checked beforehand.
        args: Further keyword arguments.
    """

    function: Function
    outputs: dict[str, OutputPath] = {}
    metrics: list[str] | None = None
    args: dict[str, Any] = {}

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Outputs are those named; metrics are open unless they are named."""
        taken = [*inputs, *self.outputs, *self.args]
        if twice := sorted({name for name in taken if taken.count(name) > 1}):
            raise ValueError(
                f'"{twice[0]}" is given twice, as two of input, output and argument;'
                f" each becomes an argument of {self.function}"
            )
        metrics = OPEN if self.metrics is None else tuple(self.metrics)
        return Declares(outputs=tuple(self.outputs), metrics=metrics)


@hookimpl
def call(config: PythonConfig, stage: Stage) -> StageResult:
    """Import the function, call it, sort what it returns."""
    module_name, _, function_name = config.function.partition(":")
    function = getattr(_import(module_name, stage.root), function_name, None)
    if not callable(function):
        raise StageError(f"{module_name} has no function {function_name}", where=config.function)
    outputs = {name: stage.output(name, place) for name, place in config.outputs.items()}
    inputs = {name: given.path() for name, given in stage.inputs.items()}
    returned = function(**inputs, **outputs, **config.args)
    metrics, values = _sort(returned, config.function)
    return StageResult(outputs=outputs, metrics=metrics, values=values)


def _import(name: str, root: Path) -> Any:
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return importlib.import_module(name)


def _sort(returned: object, where: str) -> tuple[dict[str, float], dict[str, Any]]:
    if returned is None:
        return {}, {}
    if not isinstance(returned, Mapping):
        raise StageError(
            f"returned {type(returned).__name__}, not a mapping",
            where=where,
            fix="Return None, or a dict: its numbers become metrics, its other JSON values values.",
        )
    metrics: dict[str, float] = {}
    values: dict[str, Any] = {}
    for name, value in returned.items():
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            metrics[str(name)] = float(value)
        else:
            values[str(name)] = _json(str(name), value, where)
    return metrics, values


def _json(name: str, value: object, where: str) -> Any:
    try:
        return json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise StageError(
            f'returned "{name}", which JSON cannot hold: {error}',
            where=where,
            fix="Return numbers, strings, booleans, lists, dicts; write all else to an output.",
        ) from None

"""``python.VERB``: a function or a notebook of the project is the stage."""

import importlib
import json
import numbers
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from mlpipe.errors import StageError
from mlpipe.notebooks.running import RESULTS, run_notebook
from mlpipe.plugins.config import OPEN, Declares, Function, Notebook, OutputPath, StageConfig
from mlpipe.plugins.markers import hookimpl
from mlpipe.plugins.stage import Stage
from mlpipe.types import StageResult


class PythonConfig(StageConfig):
    """Call a function of the project, or execute a notebook of it.

    For a function, inputs and outputs arrive as ``pathlib.Path`` arguments by name, ``args`` as
    keywords. Of the mapping that it returns, numbers become metrics and other JSON values become
    values.

    For a notebook, inputs and outputs arrive as text, by name, in its parameters (papermill's: the
    cell tagged ``parameters`` has their defaults). Where that cell has ``results``, it becomes a
    path; of a JSON object that the notebook writes there, numbers become metrics and other values
    become values. A cell with an error fails the stage, whatever it is tagged with. The executed
    notebook is kept beside the run's logs, also of a stage that fails.

    Attributes:
        function: ``module:function``, importable from the project root.
        notebook: A Jupyter notebook, in place of a function.
        outputs: Where each output belongs in the project, by name.
        metrics: Names of the metrics that it gives, so that gates are checked beforehand.
        args: Further keyword arguments of the function.
        parameters: Further parameters of the notebook.
    """

    function: Function | None = None
    notebook: Notebook | None = None
    outputs: dict[str, OutputPath] = {}
    metrics: list[str] | None = None
    args: dict[str, Any] = {}
    # StageConfig.parameters() is taken: it names those of the recipe.
    notebook_parameters: dict[str, Any] = Field({}, alias="parameters")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if (self.function is None) == (self.notebook is None):
            raise ValueError('exactly one of "function" and "notebook" says what the stage does')
        if self.function is None and self.args:
            raise ValueError('"args" are for functions; what a notebook is given is "parameters"')
        if self.notebook is None and self.notebook_parameters:
            raise ValueError('"parameters" are for notebooks; what a function is given is "args"')
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Outputs are those named; metrics are open unless they are named."""
        of_notebook = self.notebook is not None
        taken = [*inputs, *self.outputs, *self.args, *self.notebook_parameters]
        if twice := sorted({name for name in taken if taken.count(name) > 1}):
            kind, article = ("parameter", "a") if of_notebook else ("argument", "an")
            raise ValueError(
                f'"{twice[0]}" is given twice, as two of input, output and {kind};'
                f" each becomes {article} {kind} of {self.notebook or self.function}"
            )
        if of_notebook and RESULTS in taken:
            raise ValueError(f'"{RESULTS}" is where a notebook writes metrics; use another name')
        metrics = OPEN if self.metrics is None else tuple(self.metrics)
        return Declares(outputs=tuple(self.outputs), metrics=metrics)


@hookimpl
def call(config: PythonConfig, stage: Stage) -> StageResult:
    """Call the function or execute the notebook, sort what it gives."""
    outputs = {name: stage.output(name, place) for name, place in config.outputs.items()}
    given = {name: each.path() for name, each in stage.inputs.items()} | outputs
    if config.notebook is not None:
        where = config.notebook
        returned = _execute(where, {**given, **config.notebook_parameters}, stage)
    else:
        where = str(config.function)
        returned = _function(where, stage.root)(**given, **config.args)
    metrics, values = _sort(returned, where)
    return StageResult(outputs=outputs, metrics=metrics, values=values)


def _function(reference: str, root: Path) -> Any:
    module_name, _, name = reference.partition(":")
    function = getattr(_import(module_name, root), name, None)
    if not callable(function):
        raise StageError(f"{module_name} has no function {name}", where=reference)
    return function


def _execute(notebook: str, parameters: Mapping[str, object], stage: Stage) -> object:
    executed = stage.scratch / Path(notebook).name
    try:
        return run_notebook(stage.root / notebook, parameters, executed)
    finally:
        if executed.exists():
            stage.keep(executed)


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

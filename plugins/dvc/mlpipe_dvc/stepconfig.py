"""What a recipe may say of a step between source and data sets."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from mlpipe import Function, Notebook, Scalar, Script

_STRICT = ConfigDict(extra="forbid", frozen=True)
_OPTION = r"^[A-Za-z][A-Za-z0-9_-]*$"
#: What a step is told by mlpipe itself.
OWN = ("input", "output")


class FunctionStep(BaseModel):
    """A function of the project.

    Attributes:
        function: ``module:function``. It takes a DataFrame and returns one; for files that are
            no tables it takes the folder that they are in and an empty one to write to.
        args: What else it is called with, by name.
    """

    model_config = _STRICT

    function: Function
    args: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """How users know the step."""
        return self.function


class ScriptStep(BaseModel):
    """A Python script of the project, run as ``python SCRIPT --input PATH --output PATH``.

    Attributes:
        script: Its path.
        args: Further options, as ``{threshold: 3}`` for ``--threshold 3``.
    """

    model_config = _STRICT

    script: Script
    args: dict[Annotated[str, Field(pattern=_OPTION)], Scalar] = {}

    @property
    def label(self) -> str:
        """How users know the step."""
        return self.script


class NotebookStep(BaseModel):
    """A notebook of the project, executed with the parameters ``input`` and ``output``.

    Attributes:
        notebook: Its path.
        parameters: Further parameters, for its cell tagged ``parameters``.
    """

    model_config = _STRICT

    notebook: Notebook
    parameters: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """How users know the step."""
        return self.notebook


AnyStep = FunctionStep | ScriptStep | NotebookStep

_KINDS = ("function", "script", "notebook")


def _spell_out(value: Any) -> Any:
    """Turn a step written as one text into the mapping that it stands for."""
    if isinstance(value, str):
        value = {_kind_of_text(value): value}
    if not isinstance(value, (Mapping, BaseModel)) or _kind(value) is None:
        raise ValueError(f"say what the step is with one of: {', '.join(_KINDS)}")
    if isinstance(value, Mapping):
        further = value.get("args") or value.get("parameters") or {}
        taken = [name for name in OWN if name in further]
        if taken and "function" not in value:
            raise ValueError(f'"{taken[0]}" is what the step is told by mlpipe itself')
    return value


def _kind_of_text(text: str) -> str:
    if text.endswith(".ipynb"):
        return "notebook"
    if text.endswith(".py"):
        return "script"
    if ":" in text:
        return "function"
    raise ValueError(f'"{text}" is no module:function, no script.py and no notebook.ipynb')


def _kind(value: Any) -> str | None:
    names = value if isinstance(value, Mapping) else type(value).model_fields
    return next((kind for kind in _KINDS if kind in names), None)


def _tag(value: Any) -> str:
    # Tags are no keys, so that the place of a problem is told without them.
    return f"{_kind(value)} step"


#: Any step. As one text: ``module:function``, ``script.py`` or ``notebook.ipynb``.
Step = Annotated[
    Annotated[FunctionStep, Tag("function step")]
    | Annotated[ScriptStep, Tag("script step")]
    | Annotated[NotebookStep, Tag("notebook step")],
    Discriminator(_tag),
    BeforeValidator(_spell_out, json_schema_input_type=str | AnyStep),
]

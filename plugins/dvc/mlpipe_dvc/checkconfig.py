"""What a recipe may say of the checks of its data."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from mlpipe import Function, InputFile

_STRICT = ConfigDict(extra="forbid", frozen=True)
_YAML = (".yaml", ".yml")


class ObjectCheck(BaseModel):
    """Something in a module of the project.

    Attributes:
        function: ``module:object``: a function that takes the table and returns what is wrong,
            a list of messages; or a pandera ``DataFrameSchema`` or ``DataFrameModel``.
    """

    model_config = _STRICT

    function: Function

    @property
    def label(self) -> str:
        """How users know the check."""
        return self.function


class SchemaFile(BaseModel):
    """A pandera schema in YAML.

    Attributes:
        file: Its path.
    """

    model_config = _STRICT

    file: Annotated[InputFile, Field(pattern=r"\.ya?ml$")]

    @property
    def label(self) -> str:
        """How users know the check."""
        return self.file


AnyCheck = ObjectCheck | SchemaFile


def _spell_out(value: Any) -> Any:
    """Turn a check written as one text into the mapping that it stands for."""
    if not isinstance(value, str):
        return value
    if value.endswith(_YAML):
        return {"file": value}
    if ":" in value:
        return {"function": value}
    raise ValueError(f'"{value}" is no module:object and no schema.yaml')


def _kind(value: Any) -> str:
    names = value if isinstance(value, Mapping) else dir(value)
    return "file" if "file" in names else "function"


#: One check. As one text: ``module:object``, or a path that ends in .yaml or .yml.
Check = Annotated[
    Annotated[ObjectCheck, Tag("function")] | Annotated[SchemaFile, Tag("file")],
    Discriminator(_kind),
    BeforeValidator(_spell_out, json_schema_input_type=str | AnyCheck),
]


def _listed(value: Any) -> Any:
    if value in ([], ()):
        raise ValueError("name one check or more, or leave checks out")
    return value if isinstance(value, (list, tuple)) else [value]


#: One check or more.
Checks = Annotated[
    tuple[Check, ...],
    Field(min_length=1),
    BeforeValidator(_listed, json_schema_input_type=Check | list[Check]),
]

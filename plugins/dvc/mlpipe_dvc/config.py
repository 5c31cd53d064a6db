"""What a recipe says to ``dvc.prepare``."""

import codecs
import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from mlpipe import Declares, Function, InputFile, OutputPath, StageConfig

#: What a data set is called where nothing is split.
WHOLE = "data"

_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")

Fraction = Annotated[float, Field(gt=0, lt=1)]


class FileSource(BaseModel):
    """A CSV file of the project, its first row the names of its columns.

    Attributes:
        file: Its path.
        encoding: As Python names it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: InputFile
    encoding: str = "utf-8"

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str) -> str:
        try:
            codecs.lookup(encoding)
        except LookupError:
            raise ValueError(f'"{encoding}" is no encoding that Python knows') from None
        return encoding


class FunctionSource(BaseModel):
    """A function of the project that returns a DataFrame.

    Attributes:
        function: ``module:function``; it is called without arguments.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    function: Function


def _spell_out(value: Any) -> Any:
    """Turn a source written as one text into the mapping that it stands for."""
    if not isinstance(value, str):
        return value
    if "://" in value:
        raise ValueError("a URL cannot be read; write a function that fetches it, and name that")
    return {"function" if ":" in value else "file": value}


def _kind(value: Any) -> str:
    names = value if isinstance(value, Mapping) else dir(value)
    return "function" if "function" in names else "file"


#: Either kind of source; a text with a colon is a function, any other a file.
Source = Annotated[
    Annotated[FileSource, Tag("file")] | Annotated[FunctionSource, Tag("function")],
    Discriminator(_kind),
    BeforeValidator(_spell_out, json_schema_input_type=str | FileSource | FunctionSource),
]


class SplitConfig(BaseModel):
    """How rows are divided. Every further key is a part's name, its value a fraction.

    Attributes:
        method: ``random``; ``stratified``, with each value of a column in every part in the
            same proportion; ``group``, with all rows of a value in one part (fractions are
            then of the values); ``time``, with the earliest rows in the first part.
        by: The column that all methods but ``random`` go by.
        seed: The same seed divides the same rows the same way.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Fraction]

    method: Literal["random", "stratified", "group", "time"] = "random"
    by: str | None = None
    seed: int = Field(default=0, ge=0, lt=2**32)

    @property
    def fractions(self) -> Mapping[str, float]:
        """The fraction of each part, in the recipe's order."""
        return self.__pydantic_extra__

    @model_validator(mode="after")
    def _divides(self) -> Self:
        if bad := [name for name in self.fractions if not _PART.fullmatch(name)]:
            raise ValueError(f'"{bad[0]}" cannot name a part: use letters, digits, _ and -')
        if len(self.fractions) < 2:
            raise ValueError("name two or more parts, as train: 0.8 and test: 0.2")
        total = sum(self.fractions.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the fractions sum to {total:.6g}, not to 1")
        if (self.method == "random") != (self.by is None):
            column = "no column" if self.method == "random" else "a column to go by"
            raise ValueError(f"{self.method} takes {column} (by)")
        return self


class PrepareConfig(StageConfig):
    """Extract, clean, check and split data, and version it with DVC.

    Attributes:
        source: Where rows come from: a CSV file, or ``module:function`` returning a DataFrame.
        steps: Functions from DataFrame to DataFrame, called in order.
        checks: A function of the DataFrame that returns what is wrong with it, a list of
            messages, or raises. Anything wrong stops the stage before a file is written.
        split: How rows are divided; left out, there is one data set, ``data``.
        output: The folder of the data sets, each a ``<name>.csv``.
        remote: The DVC remote that they are pushed to, a folder or a URL. Left out, it is the
            repository's default remote, or else a folder in ``.mlpipe/dvc``.
    """

    source: Source
    steps: list[Function] = []
    checks: Function | None = None
    split: SplitConfig | None = None
    output: OutputPath
    remote: str | None = Field(default=None, min_length=1)

    @field_validator("output")
    @classmethod
    def _inside(cls, output: str) -> str:
        path = PurePosixPath(output)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError("name a folder below the project's own")
        return output

    @property
    def names(self) -> tuple[str, ...]:
        """What the data sets are called."""
        return tuple(self.split.fractions) if self.split else (WHOLE,)

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Outputs are the data sets; metrics count their rows."""
        if inputs:
            raise ValueError(f'takes its rows from source, not from inputs ("{min(inputs)}")')
        parts = tuple(f"{name}.rows" for name in self.names) if self.split else ()
        return Declares(
            outputs=self.names,
            metrics=("rows", "columns", *parts),
            values=("rows", "version"),
        )

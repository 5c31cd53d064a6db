"""What a recipe says to ``dvc.prepare``."""

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mlpipe import OPEN, Declares, OutputPath, StageConfig
from mlpipe_dvc.checkconfig import Checks
from mlpipe_dvc.sourceconfig import (
    FileSource,
    GlobSource,
    InputSource,
    Source,
    SqlSource,
    UrlSource,
    is_outside,
)
from mlpipe_dvc.stepconfig import Step
from mlpipe_dvc.values import Format

#: What a data set is called where nothing is split.
WHOLE = "data"
#: The output that describes the data sets.
PROFILE = "profile"
#: What files that are no tables are divided by, beside chance.
FOLDER = "folder"

_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MEMORY = re.compile(r"([1-9]\d*) ?(MB|GB)")
_UNITS = {"MB": 1, "GB": 1000}
_LEAST_MEMORY = 256

Fraction = Annotated[float, Field(gt=0, lt=1)]


class SplitConfig(BaseModel):
    """How rows are divided. Every further key is a part's name, its value a fraction.

    Attributes:
        method: ``random``; ``stratified``, with each value of a column in every part in the
            same proportion; ``group``, with all rows of a value in one part (fractions are
            then of the values); ``time``, with the earliest rows in the first part.
        by: The column that all methods but ``random`` go by. Files that are no tables go by
            ``folder``.
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
        if PROFILE in self.fractions:
            raise ValueError(f'"{PROFILE}" cannot name a part: it is what describes them')
        if len(self.fractions) < 2:
            raise ValueError("name two or more parts, as train: 0.8 and test: 0.2")
        total = sum(self.fractions.values())
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the fractions sum to {total:.6g}, not to 1")
        if (self.method == "random") != (self.by is None):
            column = "no column" if self.method == "random" else "a column to go by"
            raise ValueError(f"{self.method} takes {column} (by)")
        return self


def _amount(memory: str) -> str:
    if not _MEMORY.fullmatch(memory):
        raise ValueError(f'"{memory}" is no amount of memory; write 512MB or 2GB')
    if _megabytes(memory) < _LEAST_MEMORY:
        raise ValueError(f"{memory} is too little; {_LEAST_MEMORY}MB is the least")
    return memory


def _megabytes(memory: str) -> int:
    number, unit = memory[:-2], memory[-2:]
    return int(number) * _UNITS[unit]


def _below_the_project(output: str) -> str:
    path = PurePosixPath(output)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError("name a folder below the project's own")
    return output


class PrepareConfig(StageConfig):
    """Extract, clean, check and split data, and version it with DVC.

    Attributes:
        source: Where the data comes from: as one text a file, a folder (with ``/`` at its end), a
            glob, an address (``https://``, ``s3://``) or ``module:function``; an SQL query,
            another DVC repository or an input of the stage when written out.
        steps: What changes the data, in order: functions, scripts and notebooks.
        checks: What the data is held against, one or a list: functions that return what is wrong,
            pandera schemas in Python or YAML. Anything wrong stops the stage before a file is
            written.
        split: How rows are divided; left out, there is one data set, ``data``.
        format: How the data sets are written: ``csv``, ``parquet`` or ``jsonl``. Scripts and
            notebooks read and write the same.
        stream: Whether the table may be larger than memory. Functions are then called for about
            100,000 rows at a time.
        memory: What streaming may use beside Python itself, as ``512MB`` or ``2GB``.
        profile: Whether a page that describes the data sets is written, the output ``profile``.
        output: The folder of the data sets, each a ``<name>.<format>``; a folder ``<name>``, where
            they are files that are no tables.
        remote: The DVC remote that they are pushed to, a folder or a URL. Left out, it is the
            repository's default remote, or else a folder in ``.mlpipe/dvc``.
    """

    source: Source
    steps: list[Step] = []
    checks: Checks | None = None
    split: SplitConfig | None = None
    format: Format = "csv"
    stream: bool = False
    memory: Annotated[str, AfterValidator(_amount)] = "512MB"
    profile: bool = True
    output: Annotated[OutputPath, AfterValidator(_below_the_project)]
    remote: str | None = Field(default=None, min_length=1)

    @property
    def names(self) -> tuple[str, ...]:
        """What the data sets are called."""
        return tuple(self.split.fractions) if self.split else (WHOLE,)

    @property
    def megabytes(self) -> int:
        """What streaming may use."""
        return _megabytes(self.memory)

    @property
    def of_files(self) -> bool | None:
        """Whether the data sets are of files that are no tables; ``None`` if only a run tells."""
        if isinstance(self.source, SqlSource):
            return False
        if said := getattr(self.source, "format", None):
            return bool(said == "files")
        return False if isinstance(self.source, (FileSource, UrlSource)) else None

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.of_files:
            for key in ("format", "stream", "memory"):
                if key in self.model_fields_set:
                    raise ValueError(f"{key} is of tables, and the source is of files")
            require_for_files(self.split)
        if "memory" in self.model_fields_set and not self.stream:
            raise ValueError("memory limits streaming only: add stream: true")
        return self

    def declares(self, inputs: Mapping[str, str]) -> Declares:
        """Outputs are the data sets and their profile; metrics count rows, or files."""
        wanted = {self.source.input} if isinstance(self.source, InputSource) else set()
        if further := sorted(set(inputs) - wanted):
            raise ValueError(f'takes its rows from source, not from inputs ("{further[0]}")')
        if missing := sorted(wanted - set(inputs)):
            raise ValueError(f'source names an input "{missing[0]}" that the stage does not have')
        outputs = (*self.names, PROFILE) if self.profile else self.names
        if self.of_files is None:
            return Declares(outputs=outputs, metrics=OPEN, values=OPEN)
        unit, beside = ("files", "bytes") if self.of_files else ("rows", "columns")
        parts = tuple(f"{name}.{unit}" for name in self.names) if self.split else ()
        return Declares(outputs=outputs, metrics=(unit, beside, *parts), values=(unit, "version"))

    def sources(self) -> tuple[str, ...]:
        """The pattern of a glob, whose matches no field can say."""
        return (self.source.glob,) if isinstance(self.source, GlobSource) else ()

    def unkept(self, root: Path, place: str, digest: str) -> str:
        """Data is kept while a ``.dvc`` file beside it names it: else DVC knows another version."""
        own = root / f"{place}.dvc"
        records = [own] if own.is_file() else sorted(own.parent.glob("*.dvc"))
        if not records:
            return "is not tracked by DVC"
        line = f"md5: {digest.removeprefix('md5:')}\n"
        kept = any(line in each.read_text("utf-8", "replace") for each in records)
        return "" if kept else "is not the version that DVC tracks"

    def outside(self) -> bool:
        """Whether only looking beyond the project says what the source is."""
        return is_outside(self.source)


def require_for_files(split: SplitConfig | None) -> None:
    """Refuse what files that are no tables cannot be divided by.

    Raises:
        ValueError: A column, or time.
    """
    if split is None or split.method == "random":
        return
    if split.method == "time":
        raise ValueError("files have no time to be divided by")
    if split.by != FOLDER:
        raise ValueError(f'files have no column "{split.by}": write by: {FOLDER}')

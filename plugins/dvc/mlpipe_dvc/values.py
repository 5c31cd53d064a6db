"""Values that the parts of this plugin hand to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from mlpipe.types import Json

if TYPE_CHECKING:
    from pandas import DataFrame

#: How a table is written in a file.
Format = Literal["csv", "parquet", "jsonl"]

#: What the values of a column are.
Kind = Literal["integer", "number", "boolean", "text", "date", "timestamp", "other"]


@dataclass(frozen=True, slots=True)
class LocalFiles:
    """A source of files, brought to this machine.

    Attributes:
        paths: The files, absolute and sorted.
        base: The folder that their relative names are taken from.
        origin: How users know the source.
        format: How their tables are written; ``None`` for files that are no tables.
        encoding: Of their text, as Python names it.
    """

    paths: tuple[Path, ...]
    base: Path
    origin: str
    format: Format | None
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Frames:
    """Rows that come from code or a database.

    Attributes:
        batches: Tables of the same columns, to be read once.
        origin: How users know the source.
    """

    batches: Iterator[DataFrame]
    origin: str


@dataclass(frozen=True, slots=True)
class Column:
    """What is known of a column.

    Attributes:
        name: Its name.
        kind: What its values are.
        missing: In how many rows it is empty.
        distinct: How many different values it has; an estimate where there are many.
        minimum: The least value, as JSON.
        maximum: The greatest value, as JSON.
        mean: The mean of numbers.
        deviation: The standard deviation of numbers.
        histogram: Labels with counts: ranges of numbers and times in order, else the most
            frequent values first.
    """

    name: str
    kind: Kind
    missing: int
    distinct: int
    minimum: Json = None
    maximum: Json = None
    mean: float | None = None
    deviation: float | None = None
    histogram: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """What is known of a table.

    Attributes:
        rows: How many.
        columns: In their order.
    """

    rows: int
    columns: tuple[Column, ...]

    def to_json(self) -> dict[str, Any]:
        """Write as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read from JSON."""
        columns = (
            Column(**{**each, "histogram": tuple((label, n) for label, n in each["histogram"])})
            for each in data["columns"]
        )
        return cls(data["rows"], tuple(columns))

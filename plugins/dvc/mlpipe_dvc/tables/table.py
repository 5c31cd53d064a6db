"""What is asked of a table between steps, and what a table on its way can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from mlpipe.errors import StageError
from mlpipe_dvc.values import Format

if TYPE_CHECKING:
    from pandas import DataFrame

    from mlpipe_dvc.config import SplitConfig


@dataclass(frozen=True, slots=True)
class Part:
    """A data set that has been written and is not in its place yet.

    Attributes:
        name: As the recipe calls it.
        path: Where it is.
        rows: How many it has.
        columns: Their names.
    """

    name: str
    path: Path
    rows: int
    columns: tuple[str, ...]


class Table(Protocol):
    """A table on its way from the source to the data sets."""

    def then(self, change: Callable[[DataFrame], object], origin: str) -> Self:
        """Take all rows through a function.

        Args:
            change: From DataFrame to DataFrame.
            origin: How users know it.
        """

    def save(self, path: Path, format: Format) -> None:  # noqa: A002 - the recipe's word
        """Write all rows to a file that a script or notebook reads."""

    def settle(self, look: Callable[[DataFrame], None]) -> None:
        """Be done with steps, showing all rows to what checks them."""

    def divide(self, split: SplitConfig | None, folder: Path, format: Format) -> list[Part]:  # noqa: A002
        """Write the data sets into a folder."""


def require_table(value: object, origin: str) -> DataFrame:
    """Give a DataFrame with rows, distinct columns and no index of its own.

    An index with a name becomes columns; one without is dropped.

    Args:
        value: What a source or step returned.
        origin: Who returned it.

    Raises:
        StageError: It is no such table.
    """
    frame = require_columns(value, origin)
    if frame.empty:
        raise StageError("has no rows", where=origin)
    return frame


def require_columns(value: object, origin: str) -> DataFrame:
    """Give a DataFrame likewise, which may have no rows.

    Raises:
        StageError: It is no such table.
    """
    from pandas import DataFrame

    if not isinstance(value, DataFrame):
        raise StageError(
            f"returned {type(value).__name__}, not a DataFrame",
            where=origin,
            fix="End the function with: return frame",
        )
    if value.columns.nlevels > 1 or not value.columns.is_unique:
        raise StageError(
            "has columns that share a name",
            where=origin,
            fix="Give every column one name of its own.",
        )
    if not len(value.columns):
        raise StageError("has no columns", where=origin)
    return _without_index(value, origin)


def alike(batches: Iterable[object], origin: str) -> Iterator[DataFrame]:
    """Yield tables that all have the columns of the first, in its order.

    Args:
        batches: The tables.
        origin: Who made them.

    Raises:
        StageError: One is no table, or has other columns.
    """
    columns = None
    for batch in batches:
        frame = require_columns(batch, origin)
        columns = frame.columns if columns is None else columns
        if other := sorted(map(str, columns.symmetric_difference(frame.columns))):
            raise StageError(
                f'gives some rows other columns than the first ones: "{other[0]}" is not in all',
                where=origin,
                fix="Tables that make up one have the same columns. A step that takes rows in"
                " batches cannot make columns of the values that it sees.",
            )
        yield frame[columns]


def _without_index(frame: DataFrame, origin: str) -> DataFrame:
    named = any(name is not None for name in frame.index.names)
    try:
        return frame.reset_index(drop=not named)
    except ValueError as error:
        what = f"has an index that cannot become columns: {error}"
        raise StageError(what, where=origin) from None

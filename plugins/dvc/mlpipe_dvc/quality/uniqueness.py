"""Rows that repeat others, found across batches.

Pandera looks for duplicates in the table it is given; of a table that comes in batches it
would find those within a batch only. DuckDB groups what is larger than memory on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from mlpipe_dvc.quality.engine import connect, explained
from mlpipe_dvc.quality.outcomes import EXAMPLES, Example, shown

if TYPE_CHECKING:
    from pandas import DataFrame

_MEMORY = "256MB"


@dataclass(frozen=True, slots=True)
class Key:
    """Columns whose values together are in one row only.

    Attributes:
        columns: Their names.
        spared: How many rows of each set of duplicates are no failure, 0 or 1.
    """

    columns: tuple[str, ...]
    spared: int = 0


class Duplicates:
    """Gathers the values of keys, and finds those that repeat.

    Args:
        keys: What must be unique.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self.keys = tuple(keys)
        self._opened = ExitStack()
        folder = self._opened.enter_context(TemporaryDirectory(prefix="mlpipe-unique-"))
        database = Path(folder) / "values.duckdb"
        self._database = self._opened.enter_context(connect(_MEMORY, Path(folder), database))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def add(self, batch: DataFrame, first: int) -> None:
        """Gather a batch.

        Args:
            batch: Its rows.
            first: The number of its first row in the table.
        """
        for number, key in enumerate(self.keys):
            if all(name in batch for name in key.columns):
                with explained("duplicates cannot be looked for", ", ".join(key.columns)):
                    self._gather(f"key{number}", _plain(batch, key), first)

    def _gather(self, table: str, values: DataFrame, first: int) -> None:
        texts = [
            f"{_same(str(dtype), str(name))} AS {name}" for name, dtype in values.dtypes.items()
        ]
        declared = ", ".join(f"{name} VARCHAR" for name in values.columns)
        self._database.register("batch", values.assign(number=range(first, first + len(values))))
        self._database.execute(f"CREATE TABLE IF NOT EXISTS {table} (number BIGINT, {declared})")
        self._database.execute(
            f"INSERT INTO {table} SELECT number, {', '.join(texts)} FROM batch"  # noqa: S608 - our own names
        )
        self._database.unregister("batch")

    def found(self) -> Iterator[tuple[Key, int, tuple[Example, ...]]]:
        """Yield each key that is not unique, the number of rows, and the first of them."""
        made = {name for (name,) in self._database.execute("SHOW TABLES").fetchall()}
        for number, key in enumerate(self.keys):
            if (table := f"key{number}") in made:
                with explained("duplicates cannot be looked for", ", ".join(key.columns)):
                    count, rows = self._repeated(table, key)
                if count:
                    yield key, count, tuple(Example(row, _text(key, each)) for row, *each in rows)

    def _repeated(self, table: str, key: Key) -> tuple[int, list[tuple[Any, ...]]]:
        names = [f"c{index}" for index in range(len(key.columns))]
        same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM d.{name}" for name in names)
        columns = ", ".join(f"t.{name}" for name in names)
        repeated = (
            f"SELECT {', '.join(names)}, count(*) AS n FROM {table}"  # noqa: S608 - our own names
            " GROUP BY ALL HAVING n > 1"
        )
        total = f"SELECT coalesce(sum(n - {key.spared}), 0) FROM ({repeated})"  # noqa: S608 - the same
        first = (
            f"SELECT t.number, {columns} FROM {table} t"  # noqa: S608 - the same
            f" SEMI JOIN ({repeated}) d ON {same} ORDER BY t.number LIMIT {EXAMPLES}"
        )
        (count,) = self._database.execute(total).fetchall()[0]
        return int(count), self._database.execute(first).fetchall() if count else []


def _plain(batch: DataFrame, key: Key) -> DataFrame:
    """Give the key's columns as c0, c1…, of types that DuckDB reads."""
    from pandas import CategoricalDtype

    chosen = batch[list(key.columns)].reset_index(drop=True)
    chosen.columns = [f"c{index}" for index in range(len(key.columns))]
    for name in chosen.columns:
        column = chosen[name]
        if column.dtype == object or isinstance(column.dtype, CategoricalDtype):
            chosen[name] = column.astype(str).where(column.notna(), None)
    return chosen


def _same(dtype: str, name: str) -> str:
    """Write a value so that 1 and 1.0 are the same: a gap makes a batch's integers floats."""
    text = f"CAST({name} AS VARCHAR)"
    if not dtype.lower().startswith("float"):
        return text
    whole = f"CAST(CAST({name} AS BIGINT) AS VARCHAR)"
    return (
        f"CASE WHEN isnan({name}) THEN NULL"
        f" WHEN abs({name}) < 9e15 AND {name} = trunc({name}) THEN {whole} ELSE {text} END"
    )


def _text(key: Key, values: Sequence[object]) -> str:
    if len(values) == 1:
        return shown(values[0])
    pairs = zip(key.columns, values, strict=True)
    return ", ".join(f"{name} {shown(value)}" for name, value in pairs)

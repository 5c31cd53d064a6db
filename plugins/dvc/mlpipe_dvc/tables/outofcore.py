"""Dividing rows that need not fit in memory, done by DuckDB within a limit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.config import SplitConfig
from mlpipe_dvc.quality.engine import connect
from mlpipe_dvc.tables.arrow import batch_rows
from mlpipe_dvc.tables.kept import Kept
from mlpipe_dvc.tables.shares import (
    apportion,
    apportion_each,
    find,
    require_no_gaps,
    require_none_empty,
    times_of,
    too_few_groups,
    too_few_of_rarest,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy import ndarray
    from pyarrow import DataType


@dataclass(frozen=True, slots=True)
class Division:
    """Rows, and the part that each goes to.

    Attributes:
        kept: The rows, in the order that they are written in.
        path: A Parquet file with a column ``part``: the number of each row's part.
        counts: The rows of each part.
    """

    kept: Kept
    path: Path
    counts: tuple[int, ...]

    def numbers(self) -> Iterator[ndarray]:
        """Yield the numbers of the parts, some at a time."""
        from pyarrow import parquet

        for batch in parquet.ParquetFile(self.path).iter_batches(columns=["part"]):
            yield batch.column("part").to_numpy()


def divide(kept: Kept, split: SplitConfig, folder: Path, memory: str) -> Division:
    """Decide which part each row goes to.

    Args:
        kept: The rows.
        split: How.
        folder: Where files are written to.
        memory: What may be used, as ``512MB``.

    Raises:
        StageError: The rows cannot be divided so, or there is no room.
    """
    path = folder / "parts.parquet"
    with _engine(folder, memory) as engine:
        if split.by is None:
            numbered = f"select range as row, 0 as key from range({kept.rows})"  # noqa: S608
            engine.sql(numbered).create_view("keys")
        else:
            engine.read_parquet(str(_write_keys(kept, split, folder))).create_view("keys")
        if split.method == "time":
            kept = _sorted(engine, kept, folder)
        query = _QUERIES[split.method](engine, split)
        engine.sql(query).write_parquet(str(path))
        found = engine.read_parquet(str(path)).aggregate("part, count(*)").fetchall()
    counts = tuple(dict(found).get(index, 0) for index in range(len(split.fractions)))
    require_none_empty(counts, split, "rows")
    return Division(kept, path, counts)


@contextmanager
def _engine(folder: Path, memory: str) -> Iterator[DuckDBPyConnection]:
    import duckdb

    try:
        with connect(memory, folder / "spilled") as engine:
            engine.execute("set preserve_insertion_order = true")
            yield engine
    except duckdb.Error as error:
        first = str(error).partition("\n")[0]
        raise StageError(
            f"the rows cannot be divided: {first}",
            where="split",
            fix=f"Free space on the disk, or raise memory (the engine had {memory}).",
        ) from error


def _write_keys(kept: Kept, split: SplitConfig, folder: Path) -> Path:
    """Write the number of each row, and what it is divided by."""
    import pyarrow
    from pyarrow import parquet

    name = find(kept.schema.names, split)
    kind = _key_type(kept.schema.field(name).type, split)
    schema = pyarrow.schema([("row", pyarrow.int64()), ("key", kind)])
    path, first, gaps = folder / "keys.parquet", 0, 0
    with parquet.ParquetWriter(path, schema) as writer:
        for batch in kept.tables(name):
            column = batch.column(name)
            gaps += column.null_count
            if not gaps:
                if split.method == "time":
                    times = times_of(column.to_pandas(), split)
                    column = pyarrow.Array.from_pandas(times).cast(kind, safe=False)
                rows = pyarrow.array(range(first, first + len(column)), pyarrow.int64())
                writer.write_table(pyarrow.table([rows, column], schema=schema))
            first += len(column)
    require_no_gaps(gaps, kept.rows, split)
    return path


def _key_type(kind: DataType, split: SplitConfig) -> DataType:
    import pyarrow
    from pyarrow import types

    numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    if split.method != "time" or numeric:
        return kind
    return pyarrow.timestamp(kind.unit if types.is_timestamp(kind) else "us", "UTC")


def _sorted(engine: DuckDBPyConnection, kept: Kept, folder: Path) -> Kept:
    path = folder / "sorted.parquet"
    engine.read_parquet([str(each) for each in kept.files], union_by_name=True).create_view("kept")
    query = "select kept.* from kept positional join keys order by keys.key, keys.row"
    engine.sql(query).write_parquet(
        str(path), compression="zstd", row_group_size=batch_rows(len(kept.schema))
    )
    return replace(kept, files=(path,))


def _in_order(engine: DuckDBPyConnection, split: SplitConfig) -> str:
    (rows,) = engine.sql("select count(*) from keys").fetchall()[0]
    ends = _ends(apportion(rows, list(split.fractions.values())))
    return f"select {_part('range + 1', ends)} as part from range({rows}) order by range"  # noqa: S608


def _within(engine: DuckDBPyConnection, split: SplitConfig) -> str:
    """Divide the rows of each value, or all of them, in a shuffled order."""
    import pyarrow

    query = "select key, count(*) as size from keys group by key order by size desc, key"
    sizes = engine.sql(query).to_arrow_table()
    counts = sizes.column("size").to_pylist()
    cells = apportion_each(counts, list(split.fractions.values()))
    if split.method == "stratified" and any(0 in row for row in cells):
        rarest = (str(sizes.column("key")[-1].as_py()), counts[-1])
        raise too_few_of_rarest(split, len(counts), rarest, sum(counts))
    ends = pyarrow.array([_ends(row) for row in cells], pyarrow.list_(pyarrow.int64()))
    engine.register("cuts", pyarrow.table([sizes.column("key"), ends], names=["key", "ends"]))
    return f"""
        select {_part("place", "ends")} as part from (
            select row, key, row_number() over (
                partition by key order by {_shuffled("row", split)}
            ) as place from keys
        ) join cuts using (key) order by row
    """  # noqa: S608


def _groups(engine: DuckDBPyConnection, split: SplitConfig) -> str:
    """Divide the values in a shuffled order; rows go where their value goes."""
    (groups,) = engine.sql("select count(distinct key) from keys").fetchall()[0]
    counts = apportion(groups, list(split.fractions.values()))
    if 0 in counts:
        raise too_few_groups(split, groups)
    return f"""
        select {_part("place", _ends(counts))} as part from keys join (
            select key, row_number() over (order by {_shuffled("key", split)}) as place
            from (select distinct key from keys)
        ) using (key) order by row
    """  # noqa: S608


def _shuffled(subject: str, split: SplitConfig) -> str:
    """Say an order that seed and subject alone decide."""
    return f"md5_number_upper(concat({split.seed}, ':', {subject})), {subject}"


def _ends(counts: Sequence[int]) -> list[int]:
    """Give the place that each part but the last ends with."""
    return list(accumulate(counts[:-1]))


def _part(place: str, ends: object) -> str:
    """Say the number of the part that a place, from 1 on, lies in."""
    return f"len(list_filter({ends}, lambda each: {place} > each))::utinyint"


_QUERIES: Mapping[str, Callable[[DuckDBPyConnection, SplitConfig], str]] = MappingProxyType(
    {"random": _within, "stratified": _within, "group": _groups, "time": _in_order}
)

"""Rows kept in a folder between two passes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.tables.arrow import batch_rows, conformed, to_arrow, to_frame, unified

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import Schema, Table


@dataclass(frozen=True, slots=True)
class Kept:
    """A table as Parquet files, one for each batch.

    Attributes:
        files: In the order of their rows.
        schema: What all of them go into.
        rows: How many.
        origin: How users know the table.
    """

    files: tuple[Path, ...]
    schema: Schema
    rows: int
    origin: str

    def tables(self, *columns: str) -> Iterator[Table]:
        """Yield the batches with the types of the whole.

        Args:
            columns: These only; all when left out.
        """
        import pyarrow
        from pyarrow import parquet

        names = list(columns or self.schema.names)
        schema = pyarrow.schema([self.schema.field(name) for name in names])
        for path in self.files:
            with parquet.ParquetFile(path, pre_buffer=False) as file:
                held = [name for name in names if name in file.schema_arrow.names]
                for batch in file.iter_batches(batch_rows(len(self.schema)), columns=held):
                    table = pyarrow.Table.from_batches([batch])
                    yield conformed(table, schema, self.origin)

    def batches(self) -> Iterator[DataFrame]:
        """Yield the batches as DataFrames."""
        return map(to_frame, self.tables())

    def drop(self) -> None:
        """Delete the files."""
        shutil.rmtree(self.files[0].parent)


def keep(
    batches: Iterable[DataFrame],
    folder: Path,
    origin: str,
    look: Callable[[DataFrame], None] = lambda batch: None,
) -> Kept:
    """Write batches to a new folder.

    Args:
        batches: Tables of the same columns.
        folder: Is made.
        origin: How users know the table.
        look: Is shown every batch.

    Raises:
        StageError: There are no rows, a column has types that do not go together, or there is
            no room.
    """
    folder.mkdir(parents=True)
    files: list[Path] = []
    schemas: dict[Schema, None] = {}
    rows = 0
    for batch in batches:
        look(batch)
        table = _decoded(to_arrow(batch, origin))
        path = folder / f"{len(files):06}.parquet"
        _write(table, path)
        files.append(path)
        schemas[table.schema] = None
        rows += table.num_rows
    if not rows:
        raise StageError("has no rows", where=origin)
    return Kept(tuple(files), unified(schemas, origin), rows, origin)


def _decoded(table: Table) -> Table:
    """Give categories as their values: each batch would have some of its own."""
    from pyarrow import types

    for index, field in enumerate(table.schema):
        if types.is_dictionary(field.type):
            plain = table.column(index).cast(field.type.value_type)
            table = table.set_column(index, field.name, plain)
    return table


def _write(table: Table, path: Path) -> None:
    from pyarrow import parquet

    try:
        parquet.write_table(table, path, compression="zstd")
    except OSError as error:
        reason = error.strerror or str(error)
        raise StageError(f"rows cannot be kept: {reason}", where=path.name) from error

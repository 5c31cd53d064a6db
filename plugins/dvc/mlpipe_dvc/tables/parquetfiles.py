"""Parquet, read through Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.tables.arrow import batch_rows, to_frame

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import Table


@dataclass(frozen=True, slots=True)
class ParquetFile:
    """A Parquet file.

    Attributes:
        path: Where it is.
        name: How users know it.
    """

    path: Path
    name: str

    def columns(self) -> list[str]:
        """Give its columns.

        Raises:
            StageError: It is no Parquet file.
        """
        from pyarrow import parquet

        with self._refusals():
            names: list[str] = parquet.read_schema(self.path).names
        return names

    def read(self) -> DataFrame:
        """Read all rows.

        Raises:
            StageError: It is no Parquet file, or it is damaged.
        """
        from pyarrow import parquet

        with self._refusals():
            table = parquet.ParquetFile(self.path).read()
        return to_frame(self._plain(table))

    def batches(self) -> Iterator[Table]:
        """Read some rows at a time.

        Raises:
            StageError: It is no Parquet file, or it is damaged.
        """
        import pyarrow
        from pyarrow import parquet

        with self._refusals(), parquet.ParquetFile(self.path, pre_buffer=False) as file:
            rows = batch_rows(len(file.schema_arrow))
            for batch in file.iter_batches(batch_size=rows):
                yield self._plain(pyarrow.Table.from_batches([batch]))

    def _plain(self, table: Table) -> Table:
        names = table.schema.names
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise StageError(
                f'names "{min(repeated)}" twice',
                where=self.name,
                fix="Give every column a name of its own.",
            )
        return table.replace_schema_metadata(None)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        import pyarrow

        try:
            yield
        except (pyarrow.ArrowException, OSError) as error:
            if not self.path.stat().st_size:
                raise StageError("is empty", where=self.name) from None
            raise StageError(f"is not a Parquet file: {error}", where=self.name) from error

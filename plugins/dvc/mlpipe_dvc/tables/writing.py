"""Writing tables: the same table, the same bytes, in one piece or batch by batch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from mlpipe.errors import StageError
from mlpipe_dvc.tables.arrow import batch_rows, conformed, to_arrow
from mlpipe_dvc.values import Format

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import Schema, Table
    from pyarrow.parquet import ParquetWriter


def write(frame: DataFrame, path: Path, format: Format) -> None:  # noqa: A002 - the recipe's word
    """Write a table.

    Args:
        frame: The table; its index is left out.
        path: A new file.
        format: How.

    Raises:
        StageError: It cannot be written, as on a full disk.
    """
    with writer(path, format) as opened:
        opened.add(frame)


class Writer(Protocol):
    """Writes a table, some rows at a time."""

    def add(self, frame: DataFrame) -> None:
        """Write the next rows."""

    def close(self) -> None:
        """Write what is held back, and the file's end."""


@contextmanager
def writer(
    path: Path,
    format: Format,  # noqa: A002 - the recipe's word
    schema: Schema | None = None,
) -> Iterator[Writer]:
    """Open a new file for a table that comes in batches.

    Args:
        path: The file.
        format: How it is written.
        schema: Types of the columns; those of the first batch when left out.

    Raises:
        StageError: It cannot be written, as on a full disk.
    """
    try:
        with path.open("wb") as stream:
            opened = _open(stream, format, schema, path.name)
            yield opened
            opened.close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise StageError(f"cannot be written: {reason}", where=path.name) from error


def _open(
    stream: IO[bytes],
    format: Format,  # noqa: A002 - the recipe's word
    schema: Schema | None,
    name: str,
) -> Writer:
    if format == "parquet":
        return _Parquet(stream, schema, name)
    if format == "csv":
        return _Csv(stream, in_batches=schema is not None)
    return _JsonLines(stream, name)


class _Csv:
    def __init__(self, stream: IO[bytes], *, in_batches: bool) -> None:
        self._stream = TextIOWrapper(stream, encoding="utf-8", newline="")
        self._begun = False
        # pandas writes times with as many digits as those at hand need: a batch has not all.
        self._times = "%Y-%m-%d %H:%M:%S.%f%z" if in_batches else None

    def add(self, frame: DataFrame) -> None:
        if self._times:
            frame = _without_periods(frame)
        frame.to_csv(
            self._stream,
            index=False,
            header=not self._begun,
            lineterminator="\n",
            date_format=self._times,
        )
        self._begun = True

    def close(self) -> None:
        self._stream.flush()


def _without_periods(frame: DataFrame) -> DataFrame:
    """Write periods as text: in a format of times, %f is a period's own year."""
    from pandas import PeriodDtype

    kinds = frame.dtypes
    periods = [name for name in frame.columns if isinstance(kinds[name], PeriodDtype)]
    return frame.astype(dict.fromkeys(periods, "str")) if periods else frame


class _Parquet:
    def __init__(self, stream: IO[bytes], schema: Schema | None, name: str) -> None:
        self._stream = stream
        self._schema = schema
        self._name = name
        self._held: list[Table] = []
        self._writer: ParquetWriter | None = None

    def add(self, frame: DataFrame) -> None:
        table = to_arrow(frame, self._name)
        self._schema = self._schema or table.schema
        self._held.append(conformed(table, self._schema, self._name))
        group = batch_rows(len(self._schema))
        held = sum(each.num_rows for each in self._held)
        if held >= group:
            self._write(held - held % group)

    def close(self) -> None:
        if self._held:
            self._write(sum(each.num_rows for each in self._held))
        if self._writer:
            self._writer.close()

    def _write(self, rows: int) -> None:
        """Write so many rows in groups of one size, so that batches of any size do as well."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        table = pyarrow.concat_tables(self._held)
        self._writer = self._writer or ParquetWriter(self._stream, table.schema, compression="zstd")
        # Combined, because how rows are cut into chunks would show in the file.
        group = table.slice(0, rows).combine_chunks()
        self._writer.write_table(group, row_group_size=batch_rows(table.num_columns))
        self._held = [table.slice(rows)] if rows < table.num_rows else []


class _JsonLines:
    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name

    def add(self, frame: DataFrame) -> None:
        names = [str(name) for name in frame.columns]
        columns = [_plain(frame.iloc[:, i]) for i in range(len(names))]
        for row in zip(*columns, strict=True):
            self._stream.write(_line(dict(zip(names, row, strict=True)), self._name))

    def close(self) -> None:
        """Do nothing more: each line is whole."""


def _plain(column: Any) -> list[Any]:
    values = column.astype(object).tolist()
    return [None if gap else value for value, gap in zip(values, column.isna(), strict=True)]


def _line(record: Mapping[str, Any], name: str) -> bytes:
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, default=_said)
    except ValueError:
        infinite = next(
            key for key, value in record.items() if value in (float("inf"), -float("inf"))
        )
        raise StageError(
            f'column "{infinite}" holds an infinite number, which JSON cannot say',
            where=name,
            fix="Replace it in a step, or take format: parquet.",
        ) from None
    return f"{text}\n".encode()


def _said(value: Any) -> Any:
    """Say in JSON what it has no word for: times as ISO 8601, arrays as lists, else text."""
    for method in ("isoformat", "tolist"):
        if hasattr(value, method):
            return getattr(value, method)()
    return str(value)

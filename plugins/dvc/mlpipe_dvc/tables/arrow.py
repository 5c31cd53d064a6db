"""Between DataFrames and Arrow, without losing what type a column is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError

if TYPE_CHECKING:
    from pandas import DataFrame, Series
    from pyarrow import ChunkedArray, DataType, Schema, Table

# How pandas writes an index that has no name.
_INDEX = re.compile(r"__index_level_\d+__")


# Values that a batch holds, about: few enough for rows of any width to leave memory free.
_BATCH_VALUES = 4_000_000
_BATCH_ROWS = 100_000


def batch_rows(columns: int) -> int:
    """Say how many rows of a table are handled at a time: 100,000, or fewer of wide ones."""
    return min(_BATCH_ROWS, max(1, _BATCH_VALUES // max(1, columns)))


def to_arrow(frame: DataFrame, origin: str) -> Table:
    """Give a DataFrame's columns as Arrow has them, without notes of pandas' own.

    Args:
        frame: The table; its index is left out.
        origin: Who made it, for the error.

    Raises:
        StageError: A column holds values that no one type holds.
    """
    import pyarrow

    with _one_type(origin):
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
    return table.replace_schema_metadata(None)


def to_frame(table: Table) -> DataFrame:
    """Give an Arrow table as a DataFrame.

    Whole numbers and truth values among which some are missing get pandas' nullable types:
    they would otherwise become fractions and objects.
    """
    from pandas import DataFrame

    named = zip(table.schema.names, table.columns, strict=True)
    return DataFrame({name: _series(each) for name, each in named if not _INDEX.fullmatch(name)})


def _series(column: ChunkedArray) -> Series[Any]:
    series: Series[Any] = column.to_pandas(types_mapper=_nullable if column.null_count else None)
    return series


def _nullable(kind: DataType) -> object:
    import pandas
    from pyarrow import types

    if types.is_boolean(kind):
        return pandas.BooleanDtype()
    if types.is_integer(kind):
        name = str(kind).replace("uint", "UInt").replace("int", "Int")
        return pandas.api.types.pandas_dtype(name)
    return None


def unified(schemas: Iterable[Schema], origin: str) -> Schema:
    """Give the schema that all of several tables of the same columns go into.

    Raises:
        StageError: A column has types that do not go together.
    """
    import pyarrow

    with _one_type(origin):
        return pyarrow.unify_schemas(list(dict.fromkeys(schemas)), promote_options="permissive")


def conformed(table: Table, schema: Schema, origin: str) -> Table:
    """Give a table all columns of a schema, with its types.

    Raises:
        StageError: A value does not fit its column's type.
    """
    import pyarrow

    missing = [field for field in schema if field.name not in table.schema.names]
    for field in missing:
        table = table.append_column(field, pyarrow.nulls(table.num_rows, field.type))
    with _one_type(origin):
        return table.select(schema.names).cast(schema)


@contextmanager
def _one_type(origin: str) -> Iterator[None]:
    import pyarrow

    try:
        yield
    except OverflowError as error:
        raise StageError(
            "a column holds whole numbers of more than 64 bits",
            where=origin,
            fix="Make it a column of text or of floats in a step.",
        ) from error
    except pyarrow.ArrowException as error:
        said = error.args[-1] if error.args else error
        raise StageError(
            f"a column holds values of several types: {said}",
            where=origin,
            fix="Give the column one type in a step.",
        ) from error

"""What a schema of pandera asks: its checks by name, and its uniqueness apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from mlpipe_dvc.quality.uniqueness import Key

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandera.errors import SchemaError
    from pandera.pandas import DataFrameSchema

#: Pandera's names of what is asked without a check, in words.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "not_nullable": "not missing",
        "column_in_dataframe": "is there",
        "column_in_schema": "is in the schema",
        "column_ordered": "in the schema's order",
        "dataframe_column_labels_unique": "columns have different names",
    }
)


class Name(NamedTuple):
    """A check of a schema.

    Attributes:
        column: The column concerned; empty for the table as a whole.
        check: What is asked, in words.
        number: Tells checks of the same words apart; -1 for what is asked without a check.
    """

    column: str
    check: str
    number: int = -1


@dataclass(frozen=True, slots=True)
class Uniqueness:
    """What must be unique, as a schema says it.

    Attributes:
        columns: Columns, or patterns of their names, with the setting of what is reported.
        together: Groups of columns.
        report: The setting of groups.
    """

    columns: Mapping[str, str]
    together: tuple[tuple[str, ...], ...]
    report: str

    def keys(self, schema: DataFrameSchema, table: DataFrame) -> Iterator[Key]:
        """Give the keys of a table.

        Args:
            schema: Where the columns are described.
            table: Any rows of it.
        """
        for name, report in self.columns.items():
            column: Any = schema.columns[name]
            matching = column.get_regex_columns(table) if column.regex else [name]
            yield from (Key((str(each),), _spared(report)) for each in matching if each in table)
        for group in self.together:
            if present := tuple(name for name in group if name in table):
                yield Key(present, _spared(self.report))


def _spared(report: str) -> int:
    return 0 if report == "all" else 1


def name_of_key(key: Key) -> Name:
    """Give the name under which a key's duplicates are reported."""
    return Name(", ".join(key.columns), "unique together" if len(key.columns) > 1 else "unique")


def taken_apart(schema: DataFrameSchema) -> tuple[DataFrameSchema, Uniqueness]:
    """Give a copy that asks for no uniqueness and drops no failing rows, and the uniqueness."""
    schema = deepcopy(schema)
    schema.drop_invalid_rows = False
    unique: dict[str, str] = {}
    for name, column in schema.columns.items():
        column.drop_invalid_rows = False
        if column.unique:
            unique[str(name)] = str(column.report_duplicates)
            column.unique = False
    asked: Any = schema.unique or []
    groups = [asked] if all(isinstance(each, str) for each in asked) else asked
    schema.unique = None
    together = tuple(tuple(group) for group in groups if group)
    return schema, Uniqueness(unique, together, str(schema.report_duplicates))


def names(schema: DataFrameSchema) -> Iterator[Name]:
    """Yield what is asked of every table, so that what holds can be told, too.

    What is asked of a pattern of columns is left out: failures name the columns themselves.
    """
    for key, column in schema.columns.items():
        if column.regex:
            continue
        if column.dtype is not None:
            yield Name(str(key), f"type {column.dtype}")
        if not column.nullable:
            yield Name(str(key), _WORDS["not_nullable"])
        for index, check in enumerate(column.checks):
            yield Name(str(key), _words(check), index)
    for index, check in enumerate(schema.checks):
        yield Name("", _words(check), index)


def name_of_error(error: SchemaError) -> Name:
    """Give the name of the check that failed."""
    from pandera.pandas import Column

    column = str(error.schema.name) if isinstance(error.schema, Column) else ""
    if isinstance(error.check, str):
        column = column or (str(error.failure_cases) if error.check in _WORDS else "")
        return Name(column, _said(error.check))
    index = error.check_index
    return Name(column, _words(error.check), -1 if index is None else index)


def _said(check: str) -> str:
    for prefix in ("coerce_dtype('", "dtype('"):
        if check.startswith(prefix):
            return f"type {check.removeprefix(prefix).removesuffix(chr(39) + ')')}"
    return _WORDS.get(check, check)


def _words(check: Any) -> str:
    return str(check.error or check.name or "check")

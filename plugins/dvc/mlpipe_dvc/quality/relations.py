"""Files as DuckDB's tables: true names of columns, and types as pandas has them."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.values import Format, Kind

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_CSV = "header = true, delim = ',', quote = '\"', escape = '\"', max_line_size = 16000000"
#: What pandas writes. A day first or a y for yes is text to pandas, and so it is here.
_GUESSED = (
    "sample_size = -1, dateformat = '%Y-%m-%d', auto_type_candidates ="
    " ['BIGINT', 'HUGEINT', 'DOUBLE', 'DATE', 'TIMESTAMP', 'TIMESTAMPTZ', 'VARCHAR']"
)
_JSON = "format = 'newline_delimited', sample_size = -1, maximum_object_size = 64000000"

#: Not to be cast: DuckDB then reads a CSV's text as what it is cast to, and overlooks the zone.
_ZONED = "TIMESTAMP WITH TIME ZONE"
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        **dict.fromkeys(_INTEGERS, "integer"),
        **dict.fromkeys([f"U{name}" for name in _INTEGERS], "integer"),
        **dict.fromkeys(["FLOAT", "DOUBLE", "DECIMAL"], "number"),
        **dict.fromkeys(["VARCHAR", "ENUM", "UUID"], "text"),
        **dict.fromkeys(["TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"], "timestamp"),
        _ZONED: "timestamp",
        "BOOLEAN": "boolean",
        "DATE": "date",
    }
)


@dataclass(frozen=True, slots=True)
class Relation:
    """A table that can be asked.

    Attributes:
        source: What stands behind FROM. Its columns are called c0, c1…, because DuckDB takes
            two names that differ in case only for the same.
        names: The columns' names in the file.
        values: SQL of each column's values.
        kinds: What their values are.
        guesses: What a column of texts is where all of them can be read as that.
    """

    source: str
    names: tuple[str, ...]
    values: tuple[str, ...]
    kinds: tuple[Kind, ...]
    guesses: tuple[Kind, ...] = ()

    def loaded(self, database: DuckDBPyConnection) -> Relation:
        """Copy the table into the database, which then need not parse the file again."""
        database.execute(f"CREATE TABLE loaded AS SELECT * FROM {self.source}")  # noqa: S608 - the path in it is quoted
        return replace(self, source="loaded")


def relation(database: DuckDBPyConnection, path: Path, written: Format, folder: Path) -> Relation:
    """Look at a file's columns.

    Args:
        database: Where it is asked.
        path: The file.
        written: How.
        folder: Where a link to the file can be made; the caller removes it.

    Raises:
        StageError: It is not there.
    """
    if not path.is_file():
        raise StageError("is not there to be described", where=str(path))
    link = folder / f"table.{written}"  # DuckDB takes brackets and stars in a path for a pattern
    link.symlink_to(path.resolve())
    return _READERS[written](database, link)


def _csv(database: DuckDBPyConnection, path: Path) -> Relation:
    names = _header(path)
    aliases = _aliases(len(names))
    listed = ", ".join(f"'{alias}'" for alias in aliases)
    types = _described(
        database, f"read_csv({_quoted(path)}, {_CSV}, {_GUESSED}, names = [{listed}])"
    )
    columns = ", ".join(
        f"'{alias}': '{type_}'" for alias, type_ in zip(aliases, types.values(), strict=True)
    )
    source = (
        f"read_csv({_quoted(path)}, {_CSV}, auto_detect = false,"
        f" dateformat = '%Y-%m-%d', columns = {{{columns}}})"
    )
    return Relation(source, names, _values(types), _kinds(types), ("boolean", "number"))


def _header(path: Path) -> tuple[str, ...]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return tuple(next(csv.reader(stream), ()))
    except (UnicodeDecodeError, csv.Error) as error:
        what = f"the names of its columns cannot be read: {error}"
        raise StageError(what, where=str(path.resolve())) from None


def _parquet(database: DuckDBPyConnection, path: Path) -> Relation:
    from pyarrow import parquet

    source = f"read_parquet({_quoted(path)})"
    types = _described(database, source)
    names = tuple(parquet.read_schema(path).names)
    return Relation(_renamed(source, len(names)), names, _values(types), _kinds(types))


def _json(database: DuckDBPyConnection, path: Path) -> Relation:
    source = f"read_json({_quoted(path)}, {_JSON})"
    types = _described(database, source)
    names = _keys(path)
    if len(names) != len(types):  # rows have different keys; then DuckDB's names must do
        names = tuple(types)
    return Relation(
        _renamed(source, len(types)), names, _values(types), _kinds(types), ("timestamp",)
    )


def _keys(path: Path) -> tuple[str, ...]:
    with path.open("rb") as stream, suppress(ValueError):
        first = json.loads(stream.readline())
        return tuple(first) if isinstance(first, dict) else ()
    return ()


_READERS = MappingProxyType({"csv": _csv, "parquet": _parquet, "jsonl": _json})


def _described(database: DuckDBPyConnection, source: str) -> dict[str, str]:
    described = f"DESCRIBE SELECT * FROM {source}"  # noqa: S608 - the path in it is quoted
    rows = database.execute(described).fetchall()
    return {str(name): str(type_) for name, type_, *_ in rows}


def _kinds(types: Mapping[str, str]) -> tuple[Kind, ...]:
    return tuple(_KINDS.get(_base(type_), "other") for type_ in types.values())


def _values(types: Mapping[str, str]) -> tuple[str, ...]:
    pairs = zip(_aliases(len(types)), types.values(), strict=True)
    return tuple(
        f"timezone('UTC', {alias})" if type_ == _ZONED else alias for alias, type_ in pairs
    )


def _base(type_: str) -> str:
    return "other" if type_.endswith("]") else type_.partition("(")[0]


def _renamed(source: str, columns: int) -> str:
    return f"{source} AS t({', '.join(_aliases(columns))})"


def _aliases(columns: int) -> list[str]:
    return [f"c{index}" for index in range(columns)]


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

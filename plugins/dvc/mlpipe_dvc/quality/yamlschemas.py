"""Schemas of pandera in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError

if TYPE_CHECKING:
    from pandera.pandas import DataFrameSchema

_FURTHER = frozenset({"metadata", "multiindex", "dataframe_library", "name", "checks"})
#: Pandera's own example, so that a fix can show what a schema looks like.
_EXAMPLE = "As: columns: {age: {dtype: int64, checks: {greater_than: 0}}}"


def load_yaml(path: Path, label: str) -> DataFrameSchema:
    """Read a schema.

    Args:
        path: The file.
        label: How users know it.

    Raises:
        StageError: It is not there, no YAML, or says what pandera does not know. Pandera
            itself overlooks misspelt keys, which would leave data unchecked.
    """
    content = _parsed(path, label)
    if not isinstance(content, Mapping) or not content:
        raise StageError("holds no schema", where=label, fix=_EXAMPLE)
    from pandera.pandas import DataFrameSchema

    try:
        from pandera.io import pandas_io

        untyped: Any = pandas_io
        schema = untyped.from_yaml(path)
        known = untyped.serialize_schema(schema, minimal=False)
    except Exception as error:  # pandera raises what its constructors raise, of many types
        what = f"is no schema that pandera understands: {type(error).__name__}: {error}"
        raise StageError(what, where=label, fix=_EXAMPLE) from error
    assert isinstance(schema, DataFrameSchema)
    _refuse_unknown(content, known, label)
    return schema


def _parsed(path: Path, label: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        raise StageError(what, where=label, fix="Write the schema there.") from None
    except UnicodeDecodeError:
        raise StageError("is not UTF-8", where=label, fix="Save it as UTF-8.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{label}:{mark.line + 1}:{mark.column + 1}" if mark else label
        what = getattr(error, "problem", None) or str(error)
        raise StageError(f"is no YAML: {what}", where=where) from None


def _refuse_unknown(content: Mapping[str, Any], known: Mapping[str, Any], label: str) -> None:
    from pandera.pandas import Check

    _refuse(content, {*known, *_FURTHER}, "", label)
    columns = content.get("columns") or {}
    named = columns.items() if isinstance(columns, Mapping) else enumerate(columns)
    serialized = known["columns"] or {}
    every = serialized.values() if isinstance(serialized, Mapping) else serialized
    keys = {key for each in every for key in each} | _FURTHER
    for name, column in named:
        checks = {key for key in column if callable(getattr(Check, str(key), None))}
        _refuse(column, keys | checks, f" of column {name}", label)


def _refuse(content: Mapping[str, Any], known: set[str], of: str, label: str) -> None:
    for key in content:
        if key in known:
            continue
        near = get_close_matches(str(key), sorted(known), n=1)
        raise StageError(
            f'has an unknown key{of}, "{key}"',
            where=label,
            fix=f'Did you mean "{near[0]}"?' if near else "Remove it.",
        )

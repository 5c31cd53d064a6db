"""What is asked of a table between steps, and how one becomes bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.functions import call

if TYPE_CHECKING:
    from pandas import DataFrame


def require_table(value: object, origin: str) -> DataFrame:
    """Give a DataFrame with rows, distinct columns and no index of its own.

    An index with a name becomes columns; one without is dropped.

    Args:
        value: What a source or step returned.
        origin: Who returned it.

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
    if value.empty:
        raise StageError("has no rows" if len(value.columns) else "has no columns", where=origin)
    if value.columns.nlevels > 1 or not value.columns.is_unique:
        raise StageError(
            "has columns that share a name",
            where=origin,
            fix="Give every column one name of its own.",
        )
    return _without_index(value, origin)


def _without_index(frame: DataFrame, origin: str) -> DataFrame:
    named = any(name is not None for name in frame.index.names)
    try:
        return frame.reset_index(drop=not named)
    except ValueError as error:
        what = f"has an index that cannot become columns: {error}"
        raise StageError(what, where=origin) from None


def clean(frame: DataFrame, steps: Sequence[str], root: Path) -> DataFrame:
    """Call the steps in order, each with what the one before returned.

    Raises:
        StageError: One raised, or returned no table.
    """
    for step in steps:
        before = len(frame)
        frame = require_table(call(step, root, frame), step)
        print(f"{step}: {before:,} rows became {len(frame):,}")
    return frame


def write(frame: DataFrame, path: Path) -> str:
    """Write a table as CSV: the same table, the same bytes.

    Args:
        frame: The table; its index is left out.
        path: A new file.

    Returns:
        ``md5:<hex>`` of the bytes.

    Raises:
        StageError: It cannot be written, as on a full disk.
    """
    try:
        frame.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
        return digest(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StageError(f"cannot be written: {reason}", where=path.name) from error


def digest(path: Path) -> str:
    """Give ``md5:<hex>`` of a file's bytes, which is also what DVC knows it by."""
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False))
    return f"md5:{found.hexdigest()}"

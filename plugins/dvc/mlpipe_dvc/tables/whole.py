"""A table in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mlpipe_dvc.config import WHOLE, SplitConfig
from mlpipe_dvc.tables.split import split as divided
from mlpipe_dvc.tables.table import Part, require_table
from mlpipe_dvc.tables.writing import write
from mlpipe_dvc.values import Format

if TYPE_CHECKING:
    from pandas import DataFrame


class WholeTable:
    """A table that is held in memory as one DataFrame.

    Args:
        frame: The table.
        origin: How users know where it comes from.
    """

    def __init__(self, frame: DataFrame, origin: str) -> None:
        self._frame = require_table(frame, origin)

    def then(self, change: Callable[[DataFrame], object], origin: str) -> Self:
        """Take all rows through a function."""
        before = len(self._frame)
        changed = require_table(change(self._frame), origin)
        print(f"{origin}: {before:,} rows became {len(changed):,}")
        return type(self)(changed, origin)

    def save(self, path: Path, format: Format) -> None:  # noqa: A002 - the recipe's word
        """Write all rows to a file."""
        write(self._frame, path, format)

    def settle(self, look: Callable[[DataFrame], None]) -> None:
        """Show all rows at once."""
        look(self._frame)

    def divide(self, split: SplitConfig | None, folder: Path, format: Format) -> list[Part]:  # noqa: A002
        """Write the data sets into a folder."""
        tables = divided(self._frame, split) if split else {WHOLE: self._frame}
        parts = []
        for name, table in tables.items():
            path = folder / f"{name}.{format}"
            write(table, path, format)
            parts.append(Part(name, path, len(table), tuple(map(str, table.columns))))
        return parts

"""Values as people read them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from mlpipe.types import Json

#: What stands where nothing is known.
NONE = "–"


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Lay out rows as lines with aligned columns; the last column is not padded."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        (
            indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def plain(text: str) -> str:
    """Replace what a terminal would obey instead of showing."""
    return "".join(each if each.isprintable() else "�" for each in text)


def size(count: int | None) -> str:
    """Write a number of bytes, in powers of 1,000."""
    if count is None:
        return NONE
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"


def moment(seconds: float | None) -> str:
    """Write a Unix time in the local time zone."""
    if not seconds:
        return NONE
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def count(number: int | None, noun: str) -> str:
    """Write how many there are of something, as ``1 row`` and ``1,200 rows``."""
    return NONE if number is None else f"{number:,} {noun}{'' if number == 1 else 's'}"


def value(found: Json) -> str:
    """Write a value of a table, floats rounded to six digits."""
    if found is None:
        return NONE
    text = f"{found:.6g}" if isinstance(found, float) else plain(str(found))
    return text if len(text) <= 32 else f"{text[:31]}…"

"""The only module that prints. Results go to standard output, status to standard error."""

import contextlib
import json
import math
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

# What would move the cursor or clear the screen if a stage's words were shown as they are.
_CONTROL = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


class Console:
    """Writes text to the two streams, in colour where a person sees it.

    Args:
        results: Where results go; standard output when left out.
        status: Where everything else goes; standard error when left out.
    """

    def __init__(self, results: TextIO | None = None, status: TextIO | None = None) -> None:
        self._results = results or sys.stdout
        self._status = status or sys.stderr

    def out(self, text: str = "") -> None:
        """Write a line of a result."""
        self._write(self._results, text)

    def err(self, text: str = "") -> None:
        """Write a line of status. What cannot be written (a full disk) is left out."""
        with contextlib.suppress(OSError):
            self._write(self._status, text)

    def json(self, value: Any) -> None:
        """Write a result for machines: one line of JSON. What is no number is ``null``."""
        self._write(self._results, json.dumps(_finite(value), default=str))

    def rows(self, rows: Iterable[Sequence[str]], indent: str = "  ") -> None:
        """Write a result as columns, each as wide as its widest cell."""
        for line in columns(rows, indent):
            self.out(line)

    @property
    def interactive(self) -> bool:
        """Whether status is seen by a person as it comes, on a terminal that can redraw."""
        return (
            self._status.isatty()
            and "NO_COLOR" not in os.environ
            and "CI" not in os.environ
            and os.environ.get("TERM") != "dumb"
        )

    def style(self, text: str, *styles: str) -> str:
        """Colour a text for status, where colour is wanted."""
        if not (self._status.isatty() and self._results.isatty()) or "NO_COLOR" in os.environ:
            return text
        codes = ";".join(_CODES[style] for style in styles)
        return f"\033[{codes}m{text}\033[0m"

    @staticmethod
    def _write(stream: TextIO, text: str) -> None:
        try:
            stream.write(text + "\n")
            stream.flush()
        except BrokenPipeError:
            # Whoever read has gone (as in `| head`): what follows has no reader either.
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, stream.fileno())


def _finite(value: Any) -> Any:
    """Replace what JSON has no number for: not-a-number and infinities, by ``None``."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> list[str]:
    """Lay out rows as lines with aligned columns; the last column is not padded."""
    cells = [list(row) for row in rows]
    count = max(map(len, cells), default=0)
    widths = [max((len(row[i]) for row in cells if i < len(row)), default=0) for i in range(count)]
    lines = []
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append((indent + "  ".join(padded)).rstrip())
    return lines


def duration(seconds: float) -> str:
    """Write a duration for people: ``0.4s``, ``12s``, ``3m 20s``, ``2h 05m``."""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def printable(text: str) -> str:
    """Leave out what a terminal would obey instead of showing."""
    return _CONTROL.sub("", text)


def moment(seconds: float) -> str:
    """Write a Unix time for people, in the local time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def size(count: int) -> str:
    """Write a number of bytes for people, in powers of 1,000."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"

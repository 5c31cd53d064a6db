"""What checks found, in the words that log, error and report share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

#: How many failing rows of a check are shown.
EXAMPLES = 5
_WIDTH = 80


@dataclass(frozen=True, slots=True)
class Example:
    """A row that fails.

    Attributes:
        row: Its number in the table, counted from 1; ``None`` where it is not known.
        value: What it holds, shortened.
    """

    row: int | None
    value: str

    def __str__(self) -> str:
        return f"row {self.row:,}: {self.value}" if self.row is not None else self.value


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a check.

    Attributes:
        source: The schema or function that holds the check.
        column: The column looked at; empty for the table as a whole.
        check: What is asked of it.
        passed: Whether it holds.
        rows: In how many rows it does not; ``None`` for what is not asked row by row.
        total: The rows looked at.
        examples: The first rows that fail.
        note: What else is known of a failure.
    """

    source: str
    column: str
    check: str
    passed: bool
    total: int
    rows: int | None = None
    examples: tuple[Example, ...] = ()
    note: str = ""

    @property
    def text(self) -> str:
        """The failure as one line."""
        parts = [f"{self.column}: {self.check}" if self.column else self.check]
        if self.rows is not None:
            parts.append(f"{counted(self.rows, 'row')} of {self.total:,}")
        if self.note:
            parts.append(self.note)
        if self.examples:
            parts.append(f"as {self.examples[0]}")
        return ", ".join(parts)


@dataclass(slots=True)
class Tally:
    """What a check finds, batch after batch.

    Attributes:
        rows: Rows that fail so far; ``None`` while none was counted.
        examples: The first of them.
        notes: What else was said, and of which batch.
        failed: Whether anything failed.
    """

    rows: int | None = None
    examples: list[Example] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    failed: bool = False

    def fail(
        self, rows: int | None, examples: Sequence[Example], note: str = "", where: str = ""
    ) -> None:
        """Count a failure.

        Args:
            rows: Rows that fail; ``None`` where it is not asked row by row.
            examples: The first of them.
            note: What else there is to say.
            where: The batch, in words.
        """
        self.failed = True
        if rows is not None:
            self.rows = (self.rows or 0) + rows
        elif len(self.notes) < EXAMPLES:
            self.notes.append((note, where))
        self.examples += examples[: EXAMPLES - len(self.examples)]

    def note(self, batches: int) -> str:
        """Write the notes; with where they were, when there are batches to tell apart."""
        placed = batches > 1
        texts = (
            f"{note} in {where}".strip() if placed and where else note for note, where in self.notes
        )
        return "; ".join(dict.fromkeys(filter(None, texts)))


def shown(value: object) -> str:
    """Write a value on one short line."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    text = str(value)
    if text in ("<NA>", "NaT"):
        return "missing"
    return shortened(text) if text.strip() else repr(text)


def shortened(text: str) -> str:
    """Give the beginning of a text, on one line."""
    text = " ".join(text[: 2 * _WIDTH].split()) + ("…" if len(text) > 2 * _WIDTH else "")
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def counted(number: int, noun: str) -> str:
    """Give a number with its noun, as ``1 row`` and ``2 rows``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"

"""What is wrong with a recipe: where, what, and the nearest thing that would be right."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from unicodedata import combining, east_asian_width

from mlpipe.errors import ExitCode, MlpipeError

#: Longer lines are shown in part.
_WIDTH = 120
#: Of more names than these, only some are listed.
_LISTED = 20


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file. Lines and columns count from 1; 0 where there is no such place.

    Attributes:
        file: The file.
        line: The line.
        column: The column.
        length: How many characters to underline.
    """

    file: Path
    line: int = 0
    column: int = 0
    length: int = 1

    def __str__(self) -> str:
        name = os.path.relpath(self.file)
        name = name if not name.startswith("../..") else str(self.file)
        return f"{name}:{self.line}:{self.column}" if self.line else name


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        place: Where.
        path: The dotted path within the recipe, or ``""``.
        message: What.
        hint: What to do, or ``""``.
        source: The line of the file, or ``""``.
    """

    place: Place
    path: str
    message: str
    hint: str = ""
    source: str = ""

    def render(self) -> str:
        """Write the problem with its line and a caret below what is meant."""
        head = ": ".join(part for part in (str(self.place), self.path, self.message) if part)
        lines = [*head.splitlines(), *self._excerpt()]
        lines.extend(f"   {line}" for line in self.hint.splitlines())
        return "\n".join(map(_printable, lines))

    def _excerpt(self) -> list[str]:
        if not self.source.strip():
            return []
        start = self.place.column - 1
        shown, before = _part(self.source, start)
        length = min(self.place.length, max(1, len(shown.rstrip("…")) - before))
        number = f"{self.place.line:>5}"
        carets = _blank(shown[:before]) + "^" * _width(shown[before : before + length] or " ")
        return [f"{number} │ {shown}", f"{' ' * len(number)} │ {carets}"]


class RecipeError(MlpipeError):
    """A recipe has problems. Nothing was run.

    Attributes:
        problems: All of them, in the order of the file.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = tuple(
            sorted(
                dict.fromkeys(problems),
                key=lambda p: (str(p.place.file), p.place.line, p.place.column),
            )
        )

    def __str__(self) -> str:
        count = len(self.problems)
        total = f"{count} problem{'' if count == 1 else 's'}. Nothing was run."
        return "\n".join([*(problem.render() for problem in self.problems), total])


def nearest(name: object, known: Iterable[str], also: str = "") -> str:
    """Suggest the nearest of some names, and list them after ``also``."""
    names = list(known)
    close = get_close_matches(str(name), names, 1)
    parts = [f'Did you mean "{close[0]}"?'] if close else []
    if also:
        parts.append(f"{also}: {listed(names)}.")
    return " ".join(parts)


def listed(names: Sequence[str]) -> str:
    """Write names in a row; of many only some."""
    if len(names) <= _LISTED:
        return ", ".join(names) or "none"
    return f"{', '.join(names[:_LISTED])} and {len(names) - _LISTED:,} more"


def _part(line: str, column: int) -> tuple[str, int]:
    """Give the part of a line around a column, and where the column is in it."""
    first = max(0, min(column - _WIDTH // 2, len(line) - _WIDTH)) if column > _WIDTH // 2 else 0
    shown = line[first : first + _WIDTH]
    if first + _WIDTH < len(line):
        shown += "…"
    return (f"…{shown}", column - first + 1) if first else (shown, column)


def _blank(text: str) -> str:
    """Give white space as wide as a text, tabs kept."""
    return "".join("\t" if each == "\t" else " " * _width(each) for each in text)


def _width(text: str) -> int:
    """Count the terminal's columns that a text takes."""
    wide = sum(east_asian_width(each) in "WF" for each in text)
    return len(text) + wide - sum(combining(each) != 0 for each in text)


def _printable(line: str) -> str:
    """Replace what a terminal would obey instead of showing."""
    return "".join(
        each if each.isprintable() or each == "\t" else "\N{REPLACEMENT CHARACTER}" for each in line
    )

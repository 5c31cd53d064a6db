"""What is wrong with a recipe: where, what, and the nearest thing that would be right."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from mlpipe.errors import ExitCode, MlpipeError


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
        head = (
            f"{self.place}: {self.path}: {self.message}"
            if self.path
            else (f"{self.place}: {self.message}")
        )
        lines = [head, *self._excerpt()]
        lines.extend(f"   {line}" for line in self.hint.splitlines())
        return "\n".join(lines)

    def _excerpt(self) -> list[str]:
        if not self.source.strip():
            return []
        number = f"{self.place.line:>5}"
        before = "".join("\t" if c == "\t" else " " for c in self.source[: self.place.column - 1])
        room = max(1, len(self.source) - self.place.column + 1)
        carets = "^" * min(self.place.length, room)
        return [f"{number} │ {self.source}", f"{' ' * len(number)} │ {before}{carets}"]


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
        parts.append(f"{also}: {', '.join(names) or 'none'}.")
    return " ".join(parts)

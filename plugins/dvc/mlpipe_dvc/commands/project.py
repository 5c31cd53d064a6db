"""Where a command is run: the project around the working folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from mlpipe import UserError
from mlpipe_dvc.ledger import Ledger

#: What makes a folder a project's, as the core has it.
_MARKS = (".mlpipe", "pyproject.toml", ".git")


@dataclass(frozen=True)
class Project:
    """A project, which may have no state yet.

    Attributes:
        root: Its folder.
    """

    root: Path

    @property
    def state_dir(self) -> Path:
        """Where mlpipe keeps what it knows; need not be there."""
        return self.root / ".mlpipe"

    @property
    def ledger(self) -> Ledger:
        """What this machine knows of versions."""
        return Ledger(self.state_dir)

    @cached_property
    def git(self) -> Path | None:
        """The folder of the Git repository that the project is in."""
        return _nearest(self.root, (".git",))

    def dvc(self) -> Path:
        """Give the folder that holds ``.dvc``.

        Raises:
            UserError: There is none.
        """
        above = [each for each in self.root.parents if self.git and each.is_relative_to(self.git)]
        for folder in (self.root, *above):
            if (folder / ".dvc").is_dir():
                return folder
        raise UserError(
            "no DVC repository here",
            where=str(self.root),
            fix="Go to a project that has one; a recipe with a dvc.prepare stage makes it.",
        )


def find(here: Path) -> Project:
    """Give the project that a folder is in: the nearest one around it."""
    here = here.resolve()
    return Project(_nearest(here, _MARKS) or _nearest(here, (".dvc",)) or here)


def _nearest(folder: Path, marks: tuple[str, ...]) -> Path | None:
    for each in (folder, *folder.parents):
        if any((each / mark).exists() for mark in marks):
            return each
    return None

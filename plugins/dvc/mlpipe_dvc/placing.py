"""Putting new files where they belong, without losing bytes that nobody else has."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.tables import digest

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo


@dataclass(frozen=True, slots=True)
class Fresh:
    """A file that has been made and is not in its place yet.

    Attributes:
        path: Where it is.
        place: Where it belongs, absolute.
        label: Its place as people read it, relative to the project's folder.
        digest: ``md5:<hex>`` of its bytes.
    """

    path: Path
    place: Path
    label: str
    digest: str


class Memory:
    """Remembers, across a crash, which files were put in place but may not be tracked yet.

    Args:
        folder: Where it keeps a small file for each place.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, place: Path) -> frozenset[str]:
        """Give the digests of what the last attempt found in a place and put there."""
        try:
            return frozenset(self._file(place).read_text().split())
        except FileNotFoundError:
            return frozenset()

    def keep(self, place: Path, *digests: str) -> None:
        """Note what is in a place and is about to be put there; a crash may leave either."""
        self._folder.mkdir(parents=True, exist_ok=True)
        writing = self._folder / "writing"
        writing.write_text("\n".join(digests))
        writing.replace(self._file(place))

    def _file(self, place: Path) -> Path:
        return self._folder / hashlib.sha256(str(place).encode()).hexdigest()[:32]


def place_all(files: Sequence[Fresh], repo: Repo, memory: Memory) -> None:
    """Move files to their places: all are allowed to, or none is moved.

    Args:
        files: What to move.
        repo: The DVC repository of the places.
        memory: What earlier attempts put there.

    Raises:
        StageError: A place holds something that would be lost, or that DVC cannot track.
    """
    outs = list(repo.index.outs)
    for file in files:
        out = _tracked_at(file, outs)
        if out is None:
            _require_free_of_git(file, repo)
        _require_expendable(file, out, memory)
    for file in files:
        _place(file, memory)


def _place(file: Fresh, memory: Memory) -> None:
    present = [digest(file.place)] if file.place.is_file() else []
    if file.digest not in present:
        memory.keep(file.place, *present, file.digest)
        file.place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(file.path, file.place)


def _tracked_at(file: Fresh, outs: Sequence[Output]) -> Output | None:
    """Give DVC's output at a place; refuse one around it, and one that a pipeline makes."""
    for out in outs:
        known = Path(out.fs_path)
        if not file.place.is_relative_to(known):
            continue
        if known != file.place:
            raise StageError(
                f"lies in {known.name}, which DVC tracks as one whole",
                where=file.label,
                fix=f"Name another output folder, or run: dvc remove {out.stage.relpath}",
            )
        if not out.stage.is_data_source:
            raise StageError(
                f"is an output of {out.stage.addressing} in DVC's own pipeline",
                where=file.label,
                fix="Name another output folder, or take the output out of dvc.yaml.",
            )
        return out
    return None


def _require_free_of_git(file: Fresh, repo: Repo) -> None:
    from dvc.scm import NoSCM

    if isinstance(repo.scm, NoSCM):
        return
    if repo.scm.is_tracked(str(file.place)):
        raise StageError(
            "is tracked by Git, so DVC cannot track it",
            where=file.label,
            fix=f"Take it out of Git: git rm --cached {file.label}",
        )
    if repo.scm.is_ignored(f"{file.place}.dvc"):
        raise StageError(
            "is ignored by Git, so the data's version could not be committed",
            where=f"{file.label}.dvc",
            fix="Take the pattern out of .gitignore; DVC itself tells Git to ignore the data.",
        )


def _require_expendable(file: Fresh, out: Output | None, memory: Memory) -> None:
    if not file.place.exists():
        return
    if file.place.is_dir():
        raise StageError("is a folder, where a file belongs", where=file.label, fix="Move it away.")
    recorded = f"md5:{out.hash_info.value}" if out is not None and out.hash_info else None
    if digest(file.place) in {file.digest, recorded, *memory.recall(file.place)}:
        return
    if out is None:
        raise StageError(
            "is there already, with other content, and DVC does not track it",
            where=file.label,
            fix="Move or delete it, or name another output folder.",
        )
    raise StageError(
        "was edited after DVC recorded it",
        where=file.label,
        fix=f"Keep the edit elsewhere, or drop it: dvc checkout --force {file.label}",
    )

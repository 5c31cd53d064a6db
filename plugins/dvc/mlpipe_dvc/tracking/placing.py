"""Putting files in their places, each of them whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpipe_dvc.tracking.aside import aside
from mlpipe_dvc.tracking.guarding import Present
from mlpipe_dvc.tracking.index import Index
from mlpipe_dvc.tracking.links import Linker
from mlpipe_dvc.tracking.objects import Objects
from mlpipe_dvc.tracking.values import Content, Made


@dataclass(frozen=True, slots=True)
class Placer:
    """Brings places to the version that was made.

    Attributes:
        objects: DVC's cache, which has all the bytes.
        index: What is known of files.
        ways: DVC's setting ``cache.type``.
        seen: When the files that were made were looked at, Unix time in ns.
    """

    objects: Objects
    index: Index
    ways: tuple[str, ...]
    seen: int

    def place(self, made: Made, content: Content, present: Present) -> None:
        """Put in place what is not there, and remove from a folder what is no more in it."""
        wanted = [name for name, md5 in content.md5.items() if present.md5.get(name) != md5]
        gone = [name for name in present.md5 if name not in content.md5]
        with aside(made.place) as folder:
            if content.listing is not None and _is_free(made.place):
                moved = self._build(made, content, folder)
            else:
                moved = False
                _remove(made.place, gone)
                self._replace(made, content, wanted, folder)
        if content.executable:
            made.place.chmod(made.place.stat().st_mode | 0o100)
        now = content.files.statuses if moved else _look(made.place, wanted)
        self._remember(made, content, now)

    def _build(self, made: Made, content: Content, preparing: Path) -> bool:
        """Put a folder that is not there in place at once; tell whether it was only moved."""
        whole = preparing / "whole"
        alone = self._moves(made) and not any(map(content.files.is_shared, content.md5))
        moved = alone and _moved(str(made.path), str(whole))
        if not moved:
            linker = Linker(self.ways)
            for folder in {name.rpartition("/")[0] for name in content.md5}:
                os.makedirs(whole / folder, exist_ok=True)
            prefix = f"{whole}/"
            for name in content.md5:
                self._link(linker, content, name, prefix + name)
        with contextlib.suppress(FileNotFoundError):
            made.place.rmdir()  # there, and empty
        os.rename(whole, made.place)
        return moved

    def _replace(self, made: Made, content: Content, wanted: list[str], preparing: Path) -> None:
        """Replace files one by one."""
        linker, writing, root = Linker(self.ways), str(preparing / "file"), str(made.place)
        for folder in {name.rpartition("/")[0] for name in wanted if "/" in name}:
            os.makedirs(f"{root}/{folder}", exist_ok=True)
        for name in wanted:
            moves = self._moves(made) and not content.files.is_shared(name)
            if not (moves and _moved(content.files.paths[name], writing)):
                self._link(linker, content, name, writing)
            os.replace(writing, f"{root}/{name}" if name else root)

    def _moves(self, made: Made) -> bool:
        """Tell whether the files that were made are to be the ones in place themselves."""
        return made.links is None and self.ways[0] in {"copy", "reflink"}

    def _link(self, linker: Linker, content: Content, name: str, target: str) -> None:
        linker.link(self.objects.path(content.md5[name]), target)
        if self.ways[0] in {"copy", "reflink"}:
            # As old as its source, so that later writes show however soon they come.
            status = content.files.statuses[name]
            os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    def _remember(self, made: Made, content: Content, now: Mapping[str, os.stat_result]) -> None:
        before = content.files.statuses
        kept = [
            (status, content.md5[name])
            for name, status in now.items()
            if status.st_mtime_ns == before[name].st_mtime_ns
        ]
        self.index.remember(str(made.place), kept, self.seen)
        if self.ways[0] == "hardlink":  # a further name is a change of the object, too
            self.objects.vouch(
                {content.md5[name]: each for name, each in now.items()}, str(made.place)
            )


def _look(place: Path, names: list[str]) -> dict[str, os.stat_result]:
    return {name: os.stat(f"{place}/{name}" if name else place) for name in names}


def _is_free(place: Path) -> bool:
    return not place.exists() or not any(place.iterdir())


def _moved(source: str, target: str) -> bool:
    try:
        os.rename(source, target)
    except OSError:  # another file system
        return False
    return True


def _remove(place: Path, names: list[str]) -> None:
    for name in names:
        (place / name).unlink()
    parents = {parent for name in names for parent in Path(name).parents if parent.name}
    for parent in sorted(parents, reverse=True):
        with contextlib.suppress(OSError):  # not empty
            (place / parent).rmdir()

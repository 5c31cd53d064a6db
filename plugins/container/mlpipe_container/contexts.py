"""The files that a build reads, with times that are the same for the same commit."""

import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from mlpipe.errors import StageError


def seconds(created: str) -> int:
    """Read a date in ISO 8601; give Unix time in seconds.

    Raises:
        StageError: It is none.
    """
    try:
        return int(datetime.fromisoformat(created).timestamp())
    except ValueError:
        raise StageError(
            f'"{created}" is no date in ISO 8601',
            where="with.created",
            fix="As 2026-03-01T09:30:00+01:00, which git.checkout gives: "
            "created: ${stages.<checkout>.date}",
        ) from None


def copied(source: Path, place: Path, more: Mapping[str, Path], when: int | None) -> Path:
    """Copy the sources, so that what is built has the files' times of its commit.

    Args:
        source: The folder.
        place: Where to; what is there is removed.
        more: Files and folders that are put beside the sources, by name. A file keeps its
            extension: ``model`` becomes ``model.tar.gz``.
        when: Unix time in seconds; the files' own times where it is not known.
    """
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place, symlinks=True)
    for name, path in more.items():
        if path.is_dir():
            shutil.copytree(path, place / name, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(path, place / "".join([name, *path.suffixes]))
    _make_writable(place)
    if when is not None:
        for folder, _, files in os.walk(place, topdown=False):
            for name in files:
                os.utime(os.path.join(folder, name), (when, when), follow_symlinks=False)  # noqa: PTH118
            os.utime(folder, (when, when))
    return place


def _make_writable(place: Path) -> None:
    """Let the owner write: what the store keeps is read-only, and would be so in the image."""
    for folder, folders, files in os.walk(place):
        for name in (*folders, *files):
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o200)
    place.chmod(place.stat().st_mode | 0o200)

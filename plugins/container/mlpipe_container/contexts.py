"""The files that a build reads, with times that are the same for the same commit."""

import os
import shutil
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


def copied(source: Path, place: Path, when: int | None) -> Path:
    """Copy the sources, so that what is built has the files' times of its commit.

    Args:
        source: The folder.
        place: Where to, which must not exist.
        when: Unix time in seconds; the files' own times where it is not known.
    """
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(source, place, symlinks=True)
    if when is not None:
        for folder, _, files in os.walk(place, topdown=False):
            for name in files:
                os.utime(os.path.join(folder, name), (when, when), follow_symlinks=False)  # noqa: PTH118
            os.utime(folder, (when, when))
    return place

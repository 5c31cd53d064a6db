"""A folder beside a place, where what belongs there is prepared."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


def sweep(place: Path) -> None:
    """Remove what a killed run left beside a place."""
    shutil.rmtree(_folder(place), ignore_errors=True)


@contextlib.contextmanager
def aside(place: Path) -> Iterator[Path]:
    """Give an empty folder on the place's own file system, so that a rename ends the work."""
    folder = _folder(place)
    folder.parent.mkdir(parents=True, exist_ok=True)
    sweep(place)
    folder.mkdir()
    try:
        yield folder
    finally:
        sweep(place)


def _folder(place: Path) -> Path:
    return place.with_name(f".{place.name}.mlpipe")

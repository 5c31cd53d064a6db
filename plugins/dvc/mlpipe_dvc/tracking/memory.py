"""What a run that was cut off may have left in a place."""

from __future__ import annotations

import hashlib
from pathlib import Path


class Memory:
    """Remembers, across a crash, what was being put in place and may not be tracked yet.

    Args:
        folder: Where it keeps a small file for each place.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, place: Path) -> frozenset[str]:
        """Give DVC's names of what earlier attempts may have put in a place."""
        try:
            return frozenset(self._file(place).read_text().split())
        except (OSError, ValueError):
            return frozenset()

    def keep(self, place: Path, *oids: str) -> None:
        """Note what is about to be put in a place, beside all that may be there already."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._file(place)
        writing = file.with_suffix(".new")
        writing.write_text("\n".join(sorted({*oids, *self.recall(place)})))
        writing.replace(file)

    def forget(self, place: Path) -> None:
        """Note that what is in a place is tracked."""
        self._file(place).unlink(missing_ok=True)

    def _file(self, place: Path) -> Path:
        return self._folder / hashlib.sha256(str(place).encode()).hexdigest()[:32]

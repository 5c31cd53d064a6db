"""An index of facts about project files, so that unchanged ones are not read again."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlpipe.store.database import Database
from mlpipe.store.digests import digest_path, status

# A file that was written less than this before it was looked at may be written again without
# a change of its status (clock ticks of file systems are up to 10 ms; 2 s on FAT).
_SETTLED_NS = 2_000_000_000


class FileIndex:
    """Facts by path and status. Reads through; remembers what ``save`` is given to keep.

    Args:
        database: Where facts are kept.
        root: The folder that relative paths start from.
    """

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._known: dict[str, tuple[str, Any]] = {}
        self._fresh: dict[str, tuple[str, int, Any]] = {}

    def digest(self, path: str) -> str | None:
        """Give a file's or folder's SHA-256 digest, or ``None`` where nothing can be read."""
        facts = self.facts("digest", path, digest_path)
        return facts if isinstance(facts, str) else None

    def facts(self, kind: str, path: str, read: Callable[[Path], Any]) -> Any:
        """Give what ``read`` says of a file, from the index where its status is unchanged.

        Args:
            kind: Which facts; the index keeps each kind apart.
            path: Relative to the root, or absolute.
            read: Gives JSON; called with the absolute path.
        """
        key = f"{kind}:{path}"
        if key in self._known:
            return self._known[key][1]
        full = self._root / path
        now = status(full)
        if now is None:
            return None
        row = self._database.row("SELECT stat, facts FROM files WHERE path = ?", key)
        if row is not None and row[0] == now:
            facts = json.loads(str(row[1]))
        else:
            try:
                facts = read(full)
            except OSError:
                return None
            self._fresh[key] = (now, time.time_ns(), facts)
        self._known[key] = (now, facts)
        return facts

    def save(self) -> None:
        """Keep what was read, where its file's status is old enough to be trusted."""
        rows: list[tuple[object, ...]] = [
            (key, stat, seen, json.dumps(facts))
            for key, (stat, seen, facts) in self._fresh.items()
            if _settled(stat, seen)
        ]
        self._fresh.clear()
        if rows:
            self._database.write_many("REPLACE INTO files VALUES (?, ?, ?, ?)", rows)

    def forget(self) -> None:
        """Look at every file anew from now on."""
        self._known.clear()


def _settled(stat: str, seen: int) -> bool:
    return seen - int(stat.split("-")[1]) > _SETTLED_NS

"""An index of files whose MD5 is known, so that unchanged ones are not read again.

A file is known by device and inode, so it keeps its entry where it is moved. The times of its
last write and last change, in ns, and its size say whether it is still the same. Files that
were looked at together are known as one set, too: where none of them has changed, one look-up
tells all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

# A file that was written less than this before it was read may be written again without a
# change of its times: clock ticks of file systems are up to 10 ms, and 2 s on FAT.
_SETTLED_NS = 2_000_000_000
_BUSY_SECONDS = 30.0
_key = attrgetter("st_ino", "st_dev", "st_mtime_ns", "st_ctime_ns", "st_size")
_SETS_FROM = 100  # files; fewer are as quickly looked up one by one
_SETS_KEPT = 64
_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS files (
        inode INTEGER, device INTEGER, written INTEGER, changed INTEGER, size INTEGER, md5 TEXT,
        PRIMARY KEY (inode, device)
    ) WITHOUT ROWID
    """,
    "CREATE TABLE IF NOT EXISTS sets (id INTEGER PRIMARY KEY, key BLOB UNIQUE, md5 BLOB)",
)
# What says nothing of the database itself: it is in use, or the disk is full or read-only.
_PASSING = frozenset({
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
})  # fmt: skip


class Index:
    """What is known of files. Several processes may use it at once.

    Args:
        path: The database. One that is damaged is thrown away: it can be made again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, statuses: Sequence[os.stat_result]) -> list[str | None]:
        """Give the MD5 of each file that is unchanged since it was remembered."""
        wanted = json.dumps([each.st_ino for each in statuses])
        query = "SELECT * FROM files WHERE inode IN (SELECT value FROM json_each(?))"
        rows: list[tuple[Any, ...]] = self._use(
            lambda found: found.execute(query, (wanted,)).fetchall(), []
        )
        known = {row[:5]: row[5] for row in rows}
        return [known.get(_key(each)) for each in statuses]

    def known_set(self, statuses: Sequence[os.stat_result]) -> list[str] | None:
        """Give the MD5 of each of many files, where none has changed since they were a set."""
        if len(statuses) < _SETS_FROM:
            return None
        query = "SELECT md5 FROM sets WHERE key = ?"
        row = self._use(
            lambda found: found.execute(query, (_key_of_set(statuses),)).fetchone(), None
        )
        if row is None:
            return None
        text = row[0].hex()
        return [text[start : start + 32] for start in range(0, len(text), 32)]

    def remember(self, digests: Iterable[tuple[os.stat_result, str]], seen: int) -> None:
        """Keep digests of files, where they can be trusted later.

        Args:
            digests: The status of each file before it was read, and its MD5.
            seen: When reading began, Unix time in ns.
        """
        self.vouch(pair for pair in digests if is_settled(pair[0], seen))

    def vouch(self, digests: Iterable[tuple[os.stat_result, str]]) -> None:
        """Keep digests of files that nobody else writes to, as those of a cache."""
        rows = [(*_key(status), md5) for status, md5 in digests]
        if rows:
            insert = "REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)"
            self._use(lambda found: found.executemany(insert, rows), None)

    def remember_set(self, digests: Sequence[tuple[os.stat_result, str]], seen: int) -> None:
        """Keep digests of files that are looked at together, where all can be trusted later.

        Args:
            digests: As for ``remember``, in the order in which they will be asked for.
            seen: When reading began, Unix time in ns.
        """
        if len(digests) >= _SETS_FROM and all(is_settled(status, seen) for status, _ in digests):
            self.vouch_set(digests)

    def vouch_set(self, digests: Sequence[tuple[os.stat_result, str]]) -> None:
        """Keep digests of files that are looked at together and that nobody else writes to."""
        if len(digests) < _SETS_FROM:
            return
        md5 = bytes.fromhex("".join(md5 for _, md5 in digests))

        def write(found: sqlite3.Connection) -> None:
            key = _key_of_set([status for status, _ in digests])
            found.execute("INSERT OR REPLACE INTO sets (key, md5) VALUES (?, ?)", (key, md5))
            found.execute(
                "DELETE FROM sets WHERE id <= (SELECT max(id) FROM sets) - ?", (_SETS_KEPT,)
            )

        self._use(write, None)

    def _use(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do something with the database; what goes wrong only costs reading files again."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(self._path, _BUSY_SECONDS)) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                with connection:
                    for table in _TABLES:
                        connection.execute(table)
                    return action(connection)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _PASSING:
                self._discard()
        except (OSError, OverflowError):  # no inode of a common file system is that large
            pass
        return otherwise

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                os.unlink(f"{self._path}{suffix}")


def is_settled(status: os.stat_result, seen: int | None = None) -> bool:
    """Tell whether a file was last written so long ago that a further write would show."""
    return (time.time_ns() if seen is None else seen) - status.st_mtime_ns > _SETTLED_NS


def is_same(one: os.stat_result, other: os.stat_result) -> bool:
    """Tell whether a file was left alone between two looks at it."""
    return _key(one) == _key(other)


def _key_of_set(statuses: Sequence[os.stat_result]) -> bytes:
    numbers = array("q", chain.from_iterable(map(_key, statuses)))
    return hashlib.sha256(numbers).digest()

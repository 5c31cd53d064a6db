"""An index of files whose MD5 is known, so that unchanged ones are not read again.

A file is known by device and inode; the times of its last write and last change, in ns, and its
size say whether it is still the same. Files are kept together by the folder that they are in, so
that all of a data set is one row: ten thousand files are found, or noted, in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from array import array
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Key = tuple[int, int, int, int, int]

# A file that was written less than this before it was read may be written again without a
# change of its times: clock ticks of file systems are up to 10 ms, and 2 s on FAT.
_SETTLED_NS = 2_000_000_000
_BUSY_SECONDS = 30.0
_KEPT_AT_LEAST = 1_000  # files of a folder, beside those of the latest look
_TABLE = """
CREATE TABLE IF NOT EXISTS folders (name TEXT PRIMARY KEY, files BLOB, md5 BLOB) WITHOUT ROWID
"""
# What says nothing of the database itself: it is in use, or the disk is full or read-only.
_PASSING = frozenset({
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
})  # fmt: skip

_key: Callable[[os.stat_result], Key] = attrgetter(
    "st_ino", "st_dev", "st_mtime_ns", "st_ctime_ns", "st_size"
)


class Index:
    """What is known of files. Several processes may use it at once.

    Args:
        path: The database. One that is damaged is thrown away: it can be made again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def known(self, folder: str, statuses: Collection[os.stat_result]) -> list[str | None]:
        """Give the MD5 of each file that is unchanged since it was remembered.

        Args:
            folder: Which files were remembered together.
            statuses: Of the files.
        """
        row = self._use(lambda connection: _row(connection, folder), None)
        if row is None:
            return [None] * len(statuses)
        with contextlib.suppress(OverflowError):
            if row[0] == _packed(map(_key, statuses)):
                return list(_digests(row[1]))
        known = _unpacked(*row)
        return [known.get(_key(status)) for status in statuses]

    def remember(
        self, folder: str, digests: Sequence[tuple[os.stat_result, str]], seen: int
    ) -> None:
        """Keep digests of files, where they can be trusted later.

        Args:
            folder: Which files to remember together.
            digests: The status of each file before it was read, and its MD5.
            seen: When reading began, Unix time in ns.
        """
        trusted = seen - _SETTLED_NS
        self.vouch(folder, [pair for pair in digests if pair[0].st_mtime_ns < trusted])

    def vouch(self, folder: str, digests: Sequence[tuple[os.stat_result, str]]) -> None:
        """Keep digests of files that nobody else writes to, as those of a cache."""
        if digests:
            self._use(lambda connection: _merge(connection, folder, digests), None)

    def _use(self, action: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """Do something with the database; what goes wrong only costs reading files again."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, _BUSY_SECONDS, isolation_level="IMMEDIATE")
            with contextlib.closing(connection):
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(_TABLE)
                with connection:
                    return action(connection)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in _PASSING:
                self._discard()
        except (OSError, OverflowError):  # no common file system has an inode that large
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


def _row(connection: sqlite3.Connection, folder: str) -> tuple[bytes, bytes] | None:
    query = "SELECT files, md5 FROM folders WHERE name = ?"
    row: tuple[bytes, bytes] | None = connection.execute(query, (folder,)).fetchone()
    return row


def _merge(
    connection: sqlite3.Connection, folder: str, new: Sequence[tuple[os.stat_result, str]]
) -> None:
    """Add files to those of a folder; the ones that were noted longest ago give way."""
    connection.execute("BEGIN IMMEDIATE")
    keys, digests = [_key(status) for status, _ in new], [md5 for _, md5 in new]
    if row := _row(connection, folder):
        inodes = {key[:2] for key in keys}
        old = [(key, md5) for key, md5 in _unpacked(*row).items() if key[:2] not in inodes]
        old = old[-max(_KEPT_AT_LEAST, len(new)) :]
        keys = [key for key, _ in old] + keys
        digests = [md5 for _, md5 in old] + digests
    values = (folder, _packed(keys), bytes.fromhex("".join(digests)))
    connection.execute("REPLACE INTO folders VALUES (?, ?, ?)", values)


def _packed(keys: Iterable[Key]) -> bytes:
    return array("q", chain.from_iterable(keys)).tobytes()


def _unpacked(files: bytes, md5: bytes) -> dict[Key, str]:
    numbers = iter(array("q", files))
    keys = zip(numbers, numbers, numbers, numbers, numbers, strict=True)
    return dict(zip(keys, _digests(md5), strict=True))


def _digests(md5: bytes) -> Iterable[str]:
    text = md5.hex()
    return (text[start : start + 32] for start in range(0, len(text), 32))

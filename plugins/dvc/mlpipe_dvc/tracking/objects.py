"""A folder of objects named by the MD5 of their bytes: DVC's cache, or a remote."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from mlpipe_dvc.tracking.index import Index
from mlpipe_dvc.tracking.links import Linker, write_bytes
from mlpipe_dvc.tracking.reading import md5_of

if TYPE_CHECKING:
    from dvc_data.hashfile.db.local import LocalHashFileDB

#: DVC's: such an object is taken to be whole.
MODE = 0o444
_SUFFIX = ".mlpipe"
_ABANDONED_SECONDS = 86_400.0


class Objects:
    """Objects that are either whole or not there, whoever else writes to the folder.

    Args:
        store: DVC's own view of the folder, which knows where it is and how folders are made.
        index: What is known of files, where there is an index.
    """

    def __init__(self, store: LocalHashFileDB, index: Index | None = None) -> None:
        self._store = store
        self._root = str(store.path)
        self._index = index

    def path(self, oid: str) -> str:
        """Give where an object is, or would be."""
        return f"{self._root}/{oid[:2]}/{oid[2:]}"

    def has(self, oid: str, size: int) -> bool:
        """Tell whether there is an object of this name and size, without reading it."""
        status = _look(self.path(oid))
        return status is not None and status.st_size == size

    def check(
        self, oids: Iterable[str], owner: str = ""
    ) -> tuple[dict[str, os.stat_result], list[str]]:
        """Look whether objects hold what their names say; those that do not are removed.

        Args:
            oids: The objects.
            owner: What the index keeps them under, as the place that they belong to.

        Returns:
            Those that are whole, with their status, and those that were corrupt. The others
            are not there.
        """
        whole = self._present(sorted(oids))
        known = self._index.known(_name(owner), whole.values()) if self._index else []
        unknown = [oid for oid, md5 in zip_longest(whole, known) if md5 != oid[:32]]
        corrupt = [oid for oid in unknown if md5_of(self.path(oid)) != oid[:32]]
        for oid in corrupt:
            os.unlink(self.path(oid))
            del whole[oid]
        if unknown:
            self.vouch(whole, owner)
        return whole, corrupt

    def vouch(self, whole: Mapping[str, os.stat_result], owner: str) -> None:
        """Remember objects that were read or written, so that they need not be read again."""
        if owner and self._index:
            self._index.vouch(_name(owner), [(whole[oid], oid[:32]) for oid in sorted(whole)])

    def read(self, oid: str) -> bytes | None:
        """Give an object's bytes, or ``None`` where it is not there or is corrupt."""
        whole, _ = self.check([oid])
        if oid not in whole:
            return None
        with open(self.path(oid), "rb") as stream:
            return stream.read()

    @contextlib.contextmanager
    def adding(self) -> Iterator[Adding]:
        """Give what takes new objects; all of them appear at the end of the block."""
        os.makedirs(self._root, exist_ok=True)
        self._sweep()
        folder = f"{self._root}/.{secrets.token_hex(8)}{_SUFFIX}"
        try:
            adding = Adding(self._store, folder)
            yield adding
            adding.finish()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what killed processes left half-written."""
        with os.scandir(self._root) as entries:
            for entry in entries:
                old = time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS
                if old and entry.name.endswith(_SUFFIX):
                    shutil.rmtree(entry.path, ignore_errors=True)

    def _present(self, oids: Sequence[str]) -> dict[str, os.stat_result]:
        root = self._root
        try:
            shards = set(os.listdir(root))
        except FileNotFoundError:
            return {}
        oids = [oid for oid in oids if oid[:2] in shards]
        paths = [f"{root}/{oid[:2]}/{oid[2:]}" for oid in oids]
        try:
            return dict(zip(oids, map(os.stat, paths), strict=True))
        except OSError:
            looks = zip(oids, map(_look, paths), strict=True)
            return {oid: status for oid, status in looks if status is not None}


class Adding:
    """Writes objects aside, and then moves them to where they belong.

    A shard, which is the folder of all objects whose names begin alike, is moved as a whole where
    there is none yet. That is half the work for a new cache.

    Args:
        store: DVC's own view of the folder.
        folder: Where to write; on the same file system.

    Attributes:
        written: The status of each new object, once they are where they belong.
    """

    def __init__(self, store: LocalHashFileDB, folder: str) -> None:
        self._store = store
        self._root = str(store.path)
        self._folder = folder
        self._shards: dict[str, str] = {}
        self.written: dict[str, os.stat_result] = {}

    def copy(self, oid: str, source: str, linker: Linker) -> None:
        """Add a copy of a file."""
        target = self.path(oid)
        linker.link(source, target)
        self.written[oid] = os.stat(target)

    def take(self, oid: str, source: str) -> None:
        """Add a file by moving it here."""
        target = self.path(oid)
        try:
            os.rename(source, target)
        except OSError:  # another file system
            Linker(["copy"], MODE).link(source, target)
        os.chmod(target, MODE)
        self.written[oid] = os.stat(target)

    def write(self, oid: str, data: bytes) -> None:
        """Add bytes."""
        self.written[oid] = write_bytes(data, self.path(oid), MODE)

    def finish(self) -> None:
        """Move all objects to where they belong."""
        for oid, status in self.written.items():
            if stat.S_IMODE(status.st_mode) != MODE:
                os.chmod(self.path(oid), MODE)
                self.written[oid] = os.stat(self.path(oid))
        there = {shard for shard, folder in self._shards.items() if not self._move(shard, folder)}
        for oid in self.written:
            if oid[:2] in there:
                path = f"{self._root}/{oid[:2]}/{oid[2:]}"
                os.replace(self.path(oid), path)
                self.written[oid] = os.stat(path)

    def _move(self, shard: str, folder: str) -> bool:
        try:
            os.rename(folder, f"{self._root}/{shard}")
        except OSError:  # it is there, and has objects
            return False
        return True

    def path(self, oid: str) -> str:
        """Give where an object is, or is to be written, until the end."""
        folder = self._shards.get(oid[:2])
        if folder is None:
            folder = self._shards[oid[:2]] = f"{self._folder}/{oid[:2]}"
            self._store.makedirs(folder)  # type: ignore[no-untyped-call]
        return f"{folder}/{oid[2:]}"


def _name(owner: str) -> str:
    return f"objects of {owner}"


def _look(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None

"""A folder of objects named by the MD5 of their bytes: DVC's cache, or a remote."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from mlpipe_dvc.tracking.index import Index
from mlpipe_dvc.tracking.links import Linker
from mlpipe_dvc.tracking.reading import md5_of

if TYPE_CHECKING:
    from dvc_data.hashfile.db.local import LocalHashFileDB

#: DVC's: such an object is taken to be whole.
MODE = 0o444
_SUFFIX = ".mlpipe.tmp"
_ABANDONED_SECONDS = 86_400.0


class Objects:
    """Objects that are either whole or not there, whoever else writes to the folder.

    Args:
        store: DVC's own view of the folder, which knows where objects and folders belong.
        index: What is known of files.
    """

    def __init__(self, store: LocalHashFileDB, index: Index) -> None:
        self._store = store
        self._root = str(store.path)
        self._index = index
        self._folders: set[str] = set()
        self._writing = f"{self._root}/.{secrets.token_hex(8)}{_SUFFIX}"

    def path(self, oid: str) -> str:
        """Give where an object is, or would be."""
        return f"{self._root}/{oid[:2]}/{oid[2:]}"

    def has(self, oid: str, size: int) -> bool:
        """Tell whether there is an object of this name and size, without reading it."""
        status = _look(self.path(oid))
        return status is not None and status.st_size == size

    def check(self, oids: Iterable[str]) -> tuple[dict[str, os.stat_result], list[str]]:
        """Look whether objects hold what their names say; those that do not are removed.

        Args:
            oids: The objects.

        Returns:
            Those that are whole, with their status, and those that were corrupt. The others
            are not there.
        """
        present = self._present(sorted(oids))
        if self._index.known_set(list(present.values())) == [oid[:32] for oid in present]:
            return present, []
        known = dict(zip(present, self._index.known(list(present.values())), strict=True))
        unknown = [oid for oid, md5 in known.items() if md5 != oid[:32]]
        corrupt = [oid for oid in unknown if md5_of(self.path(oid)) != oid[:32]]
        for oid in corrupt:
            os.unlink(self.path(oid))
            del present[oid]
        self._index.vouch((present[oid], oid[:32]) for oid in unknown if oid in present)
        self.vouch_set(present)
        return present, corrupt

    def read(self, oid: str) -> bytes | None:
        """Give an object's bytes, or ``None`` where it is not there or is corrupt."""
        whole, _ = self.check([oid])
        if oid not in whole:
            return None
        with open(self.path(oid), "rb") as stream:
            return stream.read()

    def put(self, oid: str, source: str, linker: Linker) -> os.stat_result:
        """Add a copy of a file; its status, to be vouched for, is returned."""
        self._make_folder(oid)
        linker.link(source, self._writing)
        return self._keep(oid)

    def take(self, oid: str, source: str) -> os.stat_result:
        """Add a file by moving it here; its status, to be vouched for, is returned."""
        self._make_folder(oid)
        try:
            os.rename(source, self._writing)
        except OSError:  # another file system
            Linker(["copy"], MODE).link(source, self._writing)
        return self._keep(oid)

    def put_bytes(self, oid: str, data: bytes) -> os.stat_result:
        """Add an object from memory; its status, to be vouched for, is returned."""
        self._make_folder(oid)
        try:
            with open(self._writing, "wb") as stream:
                stream.write(data)
        except OSError:
            os.unlink(self._writing)
            raise
        return self._keep(oid)

    def vouch(self, written: Mapping[str, os.stat_result]) -> None:
        """Remember objects that this process wrote, so that they need not be read again."""
        self._index.vouch((status, oid[:32]) for oid, status in written.items())

    def vouch_set(self, whole: Mapping[str, os.stat_result]) -> None:
        """Remember objects that will be asked for together again."""
        self._index.vouch_set([(whole[oid], oid[:32]) for oid in sorted(whole)])

    def sweep(self) -> None:
        """Remove what killed processes left half-written."""
        with contextlib.suppress(OSError), os.scandir(self._root) as entries:
            for entry in entries:
                old = time.time() - entry.stat().st_mtime > _ABANDONED_SECONDS
                if old and entry.name.endswith(_SUFFIX):
                    os.unlink(entry.path)

    def _present(self, oids: Sequence[str]) -> dict[str, os.stat_result]:
        root = self._root
        try:
            folders = set(os.listdir(root))
        except FileNotFoundError:
            return {}
        oids = [oid for oid in oids if oid[:2] in folders]
        paths = [f"{root}/{oid[:2]}/{oid[2:]}" for oid in oids]
        try:
            return dict(zip(oids, map(os.stat, paths), strict=True))
        except OSError:
            looks = zip(oids, map(_look, paths), strict=True)
            return {oid: status for oid, status in looks if status is not None}

    def _make_folder(self, oid: str) -> None:
        if oid[:2] not in self._folders:
            self._store.makedirs(f"{self._root}/{oid[:2]}")  # type: ignore[no-untyped-call]
            self._folders.add(oid[:2])

    def _keep(self, oid: str) -> os.stat_result:
        path = self.path(oid)
        try:
            os.rename(self._writing, path)
        except OSError:
            os.unlink(self._writing)
            raise
        status = os.stat(path)
        if stat.S_IMODE(status.st_mode) != MODE:
            os.chmod(path, MODE)
            status = os.stat(path)
        return status


def _look(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None

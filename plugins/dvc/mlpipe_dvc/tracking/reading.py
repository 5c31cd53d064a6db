"""Finding files and digesting them."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from operator import itemgetter
from pathlib import Path

from mlpipe.errors import StageError
from mlpipe_dvc.tracking import listing
from mlpipe_dvc.tracking.index import Index, is_same
from mlpipe_dvc.tracking.values import Content, Files, Made

#: Given a folder's place and names of files in it, gives those that ``.dvcignore`` names.
Ignored = Callable[[str, Collection[str]], set[str]]

_SMALL = 1 << 16
_KEPT = 1 << 26  # bytes of small files to keep in memory
_LARGE = 1 << 21
_THREADS = min(4, os.cpu_count() or 1)


def read(made: Made, index: Index, ignored: Ignored) -> Content:
    """Find and digest what was made.

    Args:
        made: A file or folder.
        index: What is known of files already.
        ignored: What ``.dvcignore`` names; it is left out, as DVC does.

    Raises:
        StageError: It is missing, empty, or holds what DVC cannot track.
    """
    files = _find(made, ignored)
    if made.links is None:
        md5, small = _digest_made(files)
    else:
        folder = os.path.dirname(next(iter(files.paths.values())))
        md5, small = digest_all(files, folder, index), {}
    size = sum(each.st_size for each in files.statuses.values())
    if "" in md5:
        return Content(files, md5, None, md5[""], size, small)
    written = listing.write(md5)
    return Content(files, md5, written, listing.name_of(written), size, small)


def _digest_made(files: Files) -> tuple[dict[str, str], dict[str, bytes]]:
    """Give MD5s, by name, of files that nobody knows yet, and bytes, by MD5, of small ones."""
    md5: dict[str, str] = {}
    small: dict[str, bytes] = {}
    room = _KEPT
    for name, path in files.paths.items():
        size = files.statuses[name].st_size
        if size < _SMALL and size <= room:
            data = _bytes_of(path, size)
            md5[name] = digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
            small[digest] = data
            room -= size
    rest = [name for name in files.paths if name not in md5]
    md5 |= zip(rest, _read_all(files, rest), strict=True)
    return {name: md5[name] for name in files.paths} if rest else md5, small


def _bytes_of(path: str, size: int) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def _find(made: Made, ignored: Ignored) -> Files:
    if made.links is not None:
        names = sorted(made.links)
        files = look(names, (os.fspath(made.links[name]) for name in names), made.label)
    elif made.path.is_dir():
        files = scan(str(made.path), made.label)
    else:
        return look([""], [str(made.path)], made.label)
    for name in files.paths:
        if name.endswith(".dvcignore") and name.rpartition("/")[2] == ".dvcignore":
            raise StageError(
                "DVC does not allow a .dvcignore in a folder that it tracks",
                where=f"{made.label}/{name}",
                fix="Leave it out.",
            )
    left_out = ignored(str(made.place), files.paths)
    if made.links is None:
        for name in left_out:
            os.unlink(files.paths[name])
    files = files.without(left_out)
    if not files:
        raise StageError("holds no files", where=made.label)
    return files


def scan(folder: str, label: str) -> Files:
    """Find all files below a folder, by relative name.

    Links to files count as files; links to folders are not followed, as DVC does not.

    Args:
        folder: Absolute.
        label: What people call the folder.

    Raises:
        StageError: Something is neither a file nor a folder, or a link leads nowhere.
    """
    found: list[tuple[str, str, os.stat_result]] = []
    linked: set[str] = set()
    waiting = [(folder, "")]
    while waiting:
        parent, prefix = waiting.pop()
        with os.scandir(parent) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                name = prefix + entry.name
                if stat.S_ISDIR(status.st_mode):
                    waiting.append((entry.path, f"{name}/"))
                    continue
                if stat.S_ISLNK(status.st_mode):
                    if entry.is_dir():
                        continue
                    linked.add(name)
                    status = _status(entry.path, label, name)
                if not stat.S_ISREG(status.st_mode):
                    raise _unusable(label, name)
                found.append((name, entry.path, status))
    found.sort(key=itemgetter(0))
    names, paths, statuses = zip(*found, strict=True) if found else ((), (), ())
    return Files(
        dict(zip(names, paths, strict=True)),
        dict(zip(names, statuses, strict=True)),
        frozenset(linked),
    )


def look(names: Iterable[str], paths: Iterable[str], label: str) -> Files:
    """Look at single files.

    Args:
        names: What to know them by, sorted.
        paths: Where they are, in the same order.
        label: What people call the whole.

    Raises:
        StageError: One is missing, or is no file.
    """
    found = dict(zip(names, paths, strict=True))
    try:
        statuses = dict(zip(found, map(os.stat, found.values()), strict=True))
    except OSError:
        statuses = {name: _status(path, label, name) for name, path in found.items()}
    for name, status in statuses.items():
        if not stat.S_ISREG(status.st_mode):
            raise _unusable(label, name)
    linked = {name for name in found if not name and os.path.islink(found[name])}
    return Files(found, statuses, frozenset(linked))


def _status(path: str, label: str, name: str) -> os.stat_result:
    try:
        return os.stat(path)
    except OSError as error:
        where = f"{label}/{name}" if name else label
        raise StageError(f"cannot be read: {error.strerror}", where=where) from error


def _unusable(label: str, name: str) -> StageError:
    where = f"{label}/{name}" if name else label
    return StageError("is no file, so DVC cannot track it", where=where, fix="Leave it out.")


def digest_all(files: Files, folder: str, index: Index) -> dict[str, str]:
    """Give the MD5 of each file, read only where the index does not know it.

    Args:
        files: The files.
        folder: What the index keeps them under: the folder that they are in.
        index: What is known of files.

    Raises:
        StageError: A file is written to while it is read.
    """
    seen = time.time_ns()
    statuses = files.statuses
    known = dict(zip(files.paths, index.known(folder, statuses.values()), strict=True))
    unknown = [name for name, md5 in known.items() if md5 is None]
    if unknown:
        fresh = dict(zip(unknown, _read_all(files, unknown), strict=True))
        index.remember(folder, [(statuses[name], md5) for name, md5 in fresh.items()], seen)
        known.update(fresh)
    return {name: md5 for name, md5 in known.items() if md5}


def _read_all(files: Files, names: Sequence[str]) -> list[str]:
    """Read small files one by one, and large ones in threads: hashing frees the interpreter."""
    large = [name for name in names if files.statuses[name].st_size > _LARGE]
    if len(large) <= 1:
        return [_read(files, name) for name in names]
    with ThreadPoolExecutor(_THREADS) as pool:
        digests = dict(zip(large, pool.map(lambda name: _read(files, name), large), strict=True))
    return [digests[name] if name in digests else _read(files, name) for name in names]


def _read(files: Files, name: str) -> str:
    path = files.paths[name]
    try:
        digest, after = _digest(path)
    except OSError as error:
        raise StageError(f"cannot be read: {error.strerror}", where=path) from error
    if not is_same(files.statuses[name], after):
        raise StageError("is written to by another process", where=path, fix="Run again.")
    return digest


def _digest(path: str) -> tuple[str, os.stat_result]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        start = os.read(descriptor, _SMALL)
        hashed = hashlib.md5(start, usedforsecurity=False)
        if len(start) == _SMALL:
            with open(descriptor, "rb", buffering=0, closefd=False) as stream:
                buffer = bytearray(1 << 20)
                view = memoryview(buffer)
                while size := stream.readinto(buffer):
                    hashed.update(view[:size])
        return hashed.hexdigest(), os.fstat(descriptor)
    finally:
        os.close(descriptor)


def md5_of(path: Path | str) -> str:
    """Give the MD5 of a file's bytes.

    Raises:
        OSError: It cannot be read.
    """
    return _digest(os.fspath(path))[0]

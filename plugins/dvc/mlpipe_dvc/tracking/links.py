"""Putting a file's bytes under a second name: as a link where that is wanted and works."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from stat import S_ISLNK
from types import MappingProxyType

from mlpipe.errors import StageError

# What a file system answers that cannot make such a link, or not between these places.
_UNABLE = frozenset({
    errno.EPERM,
    errno.ENOTSUP,
    errno.EXDEV,
    errno.ENOTTY,
    errno.ENOSYS,
    errno.EINVAL,
    errno.EAGAIN,
    errno.EMLINK,
})  # fmt: skip
_SMALL = 1 << 16
_FICLONE = 0x40049409
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def reflink(source: str, target: str, mode: int) -> None:
    """Make a copy that shares its blocks with the source until one of them is written to."""
    import fcntl

    _filled(source, target, mode, lambda read, write: fcntl.ioctl(write, _FICLONE, read))


def copy(source: str, target: str, mode: int) -> None:
    """Copy the bytes."""
    _filled(source, target, mode, _transfer)


def hardlink(source: str, target: str, _mode: int) -> None:
    """Give the same file a second name; an empty one is made anew, as DVC does.

    A data set can have more empty files than a file may have names.
    """
    status = os.lstat(source)
    if status.st_size == 0:
        _filled(source, target, 0o666, _transfer)
    else:
        os.link(os.path.realpath(source) if S_ISLNK(status.st_mode) else source, target)


def symlink(source: str, target: str, _mode: int) -> None:
    """Point to the file."""
    os.symlink(source, target)


#: How to link, by the names that DVC's setting ``cache.type`` has for it.
WAYS: Mapping[str, Callable[[str, str, int], None]] = MappingProxyType(
    {"reflink": reflink, "hardlink": hardlink, "symlink": symlink, "copy": copy}
)


class Linker:
    """Links files in the first way that works here.

    Args:
        ways: In the order to try them in. One that does not work is not tried again.
        mode: Of a file that is not the same file as its source; the process's mask applies.
    """

    def __init__(self, ways: Sequence[str], mode: int = 0o666) -> None:
        self._ways = list(ways)
        self._mode = mode

    def link(self, source: str, target: str) -> None:
        """Put the source's bytes under another name, which must be free.

        Raises:
            StageError: None of the ways works here.
            OSError: The disk is full, or a file cannot be read or written.
        """
        while self._ways:
            try:
                return WAYS[self._ways[0]](source, target, self._mode)
            except OSError as error:
                if error.errno not in _UNABLE:
                    raise
            del self._ways[0]
        raise StageError(
            "none of the links that DVC's cache.type names can be made here",
            where=target,
            fix="Set another one: dvc config cache.type reflink,copy",
        )


def write_bytes(data: bytes, target: str, mode: int) -> os.stat_result:
    """Write a new file, and give its status: all of it, or it is not there afterwards.

    Raises:
        OSError: There is no room, or no right to write.
    """
    write = os.open(target, _NEW, mode)
    try:
        if os.write(write, data) < len(data):  # a disk that is nearly full takes a part
            os.lseek(write, 0, os.SEEK_SET)
            _write(write, data)
        return os.fstat(write)
    except BaseException:
        os.unlink(target)
        raise
    finally:
        os.close(write)


def _filled(source: str, target: str, mode: int, fill: Callable[[int, int], object]) -> None:
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        write = os.open(target, _NEW, mode)
        try:
            fill(read, write)
        except BaseException:
            os.unlink(target)
            raise
        finally:
            os.close(write)
    finally:
        os.close(read)


def _transfer(read: int, write: int) -> None:
    """Copy small files through memory, which costs least; and large ones within the kernel."""
    start = os.read(read, _SMALL)
    _write(write, start)
    if len(start) < _SMALL:
        return
    try:
        while os.copy_file_range(read, write, 1 << 30):
            pass
    except OSError as error:
        if error.errno not in _UNABLE:
            raise
        with (
            open(read, "rb", closefd=False) as source,
            open(write, "wb", closefd=False) as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):  # a disk that is nearly full takes a part
        written += os.write(descriptor, data[written:])

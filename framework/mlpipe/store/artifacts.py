"""Content-addressed storage of anonymous outputs, and placing them in the project."""

import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path

from mlpipe.store.digests import digest_path, size_of, walk

_FICLONE = 0x40049409  # linux/fs.h: share the extents of another file


class ArtifactStore:
    """Objects by digest below ``.mlpipe/artifacts``; an object keeps its file's name.

    Args:
        root: The project's folder.
        folder: Where objects are.
        reflinks: Whether the file system can share extents; each file tries when left out.
    """

    def __init__(self, root: Path, folder: Path, *, reflinks: bool = True) -> None:
        self._root = root
        self._folder = folder
        self._reflinks = reflinks

    def location(self, digest: str, name: str) -> Path:
        """Give where an object is, or would be."""
        algorithm, _, value = digest.partition(":")
        return self._folder / algorithm / value[:2] / value[2:] / name

    def take(self, path: Path) -> tuple[str, Path, int]:
        """Move a new file or folder into the store.

        Returns:
            Digest, where the object is now, and its size in bytes.
        """
        digest = digest_path(path)
        size = size_of(path)
        target = self.location(digest, path.name)
        if target.exists() and digest_path(target) == digest:
            _remove(path)
            return digest, target, size
        _seal(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            _remove(target)
        os.replace(path, target)
        return digest, target, size

    def adopt(self, path: Path, digest: str) -> Path:
        """Add a file or folder of the project whose digest is known, leaving it in its place."""
        target = self.location(digest, path.name)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _replicate(path, target, link=False, reflink=self._reflinks)
            _seal(target)
        return target

    def place(self, source: Path, place: str) -> Path:
        """Put an object at its declared path: by reflink, hard link or copy, atomically."""
        target = self._root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and source.is_file() and source.samefile(target):
            return target
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        _replicate(source, temporary, link=True, reflink=self._reflinks)
        if target.is_dir() or temporary.is_dir():
            _remove(target)
        os.replace(temporary, target)
        return target


def can_reflink(folder: Path) -> bool:
    """Tell whether files of a folder can share their extents.

    To try anew for each file costs more than to link it: ext4 looks for a free inode past all
    that were freed a moment ago.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder) as source:
        copy = Path(f"{source.name}.copy")
        try:
            return _reflink(Path(source.name), copy)
        finally:
            copy.unlink(missing_ok=True)


def _replicate(source: Path, target: Path, *, link: bool, reflink: bool) -> None:
    if source.is_dir():
        for file in walk(source):
            copy = target / file.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            _replicate_file(file, copy, link=link, reflink=reflink)
        target.mkdir(exist_ok=True)
        return
    _replicate_file(source, target, link=link, reflink=reflink)


def _replicate_file(source: Path, target: Path, *, link: bool, reflink: bool) -> None:
    if reflink and _reflink(source, target):
        return
    if link:
        try:
            os.link(source, target)
            return
        except OSError:  # another device, or a file system without hard links
            pass
    shutil.copyfile(source, target)


def _reflink(source: Path, target: Path) -> bool:
    with source.open("rb") as reader, target.open("xb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
            return True
        except OSError:
            pass
    target.unlink()
    return False


def _seal(path: Path) -> None:
    """Make files read-only: they are shared by link with the project's own paths."""
    for file in walk(path) if path.is_dir() else [path]:
        mode = stat.S_IMODE(file.stat().st_mode)
        file.chmod(mode & ~0o222)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

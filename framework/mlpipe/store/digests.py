"""Digests of files and folders, and what of a file's status stands for its bytes."""

import hashlib
import os
from pathlib import Path
from stat import S_ISDIR

_SMALL = 1 << 16


def digest_path(path: Path, algorithm: str = "sha256") -> str:
    """Digest a file's bytes, or a folder's listing of relative paths and file digests.

    Args:
        path: A file or folder.
        algorithm: ``sha256`` or ``md5``.

    Returns:
        ``<algorithm>:<hex>``.

    Raises:
        OSError: It cannot be read.
    """
    if path.is_dir():
        listing = hashlib.new(algorithm)
        for file in walk(path):
            name = file.relative_to(path).as_posix()
            listing.update(f"{name}\0{digest_path(file, algorithm)}\n".encode())
        return f"{algorithm}:{listing.hexdigest()}"
    with path.open("rb", buffering=0) as stream:
        start = stream.read(_SMALL)
        if len(start) < _SMALL:  # file_digest's buffer costs more than a small file's bytes
            return f"{algorithm}:{hashlib.new(algorithm, start).hexdigest()}"
        stream.seek(0)
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def digest_text(text: str) -> str:
    """Digest a text's UTF-8 bytes with SHA-256."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def walk(folder: Path) -> list[Path]:
    """Give all files below a folder, sorted by relative path."""
    return sorted(Path(parent, name) for parent, _, names in os.walk(folder) for name in names)


def status(path: Path | str) -> str | None:
    """Give inode, modification time (ns) and size as one text; ``None`` where nothing is.

    As long as it does not change, neither has a file; for a folder, no file below it.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    if S_ISDIR(found.st_mode):
        parts = "".join(f"{file}:{status(file)}\n" for file in walk(Path(path)))
        return f"d-{hashlib.sha256(parts.encode()).hexdigest()}"
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"


def size_of(path: Path) -> int:
    """Give the size in bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in walk(path))
    return path.stat().st_size

"""Digests of files and folders, and what of a file's status stands for its bytes."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from stat import S_ISDIR

_SMALL = 1 << 16


def digest_path(path: Path, algorithm: str = "sha256") -> str:
    """Digest a file's bytes, or a folder's listing of relative paths and file digests.

    A folder's MD5 is the one that DVC knows it by: of a JSON list of
    ``{"md5": <hex>, "relpath": <relative path>}`` sorted by path.

    Args:
        path: A file or folder.
        algorithm: ``sha256`` or ``md5``.

    Returns:
        ``<algorithm>:<hex>``, and ``md5:<hex>.dir`` for a folder.

    Raises:
        OSError: It cannot be read.
    """
    if not path.is_dir():
        return f"{algorithm}:{_hex_of(str(path), algorithm)}"
    digests = {name: _hex_of(file.path, algorithm) for name, file in _files(str(path)).items()}
    if algorithm == "md5":
        return f"md5:{hashlib.md5(_dvc_listing(digests), usedforsecurity=False).hexdigest()}.dir"
    lines = "".join(f"{name}\0{algorithm}:{each}\n" for name, each in digests.items())
    return f"{algorithm}:{hashlib.new(algorithm, _encoded(lines)).hexdigest()}"


def digest_text(text: str) -> str:
    """Digest a text's UTF-8 bytes with SHA-256."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def walk(folder: Path) -> list[Path]:
    """Give all files below a folder, sorted by relative path."""
    return [Path(file.path) for file in _files(str(folder)).values()]


def status(path: Path | str) -> str | None:
    """Give inode, modification time (ns) and size as one text; ``None`` where nothing is.

    As long as it does not change, neither has a file; for a folder, no file below it. A folder's
    is a digest of its files', and their latest modification time.
    """
    try:
        found = os.stat(path)
    except OSError:
        return None
    if S_ISDIR(found.st_mode):
        return _status_of_folder(str(path))
    return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"


def size_of(path: Path) -> int:
    """Give the size in bytes of a file, or of all files below a folder."""
    if path.is_dir():
        return sum(file.stat().st_size for file in _files(str(path)).values())
    return path.stat().st_size


def _files(folder: str) -> dict[str, os.DirEntry[str]]:
    """Give all files below a folder, by relative path and sorted by its parts.

    Links to files are files; links to folders are left out, so that no walk goes in circles.
    """
    found: dict[str, os.DirEntry[str]] = {}
    waiting = [(folder, "")]
    while waiting:
        parent, prefix = waiting.pop()
        try:
            with os.scandir(parent) as entries:
                for entry in entries:
                    if not entry.is_dir():
                        found[prefix + entry.name] = entry
                    elif not entry.is_symlink():
                        waiting.append((entry.path, f"{prefix}{entry.name}/"))
        except OSError:  # gone, or not ours to read
            continue
    return {name: found[name] for name in sorted(found, key=lambda name: name.split("/"))}


def _status_of_folder(folder: str) -> str:
    parts, latest = [], 0
    for file in _files(folder).values():
        try:
            found = file.stat()
        except OSError:
            parts.append(f"{file.path}:None\n")
            continue
        latest = max(latest, found.st_mtime_ns)
        parts.append(f"{file.path}:{found.st_ino}-{found.st_mtime_ns}-{found.st_size}\n")
    return f"d{hashlib.sha256(_encoded(''.join(parts))).hexdigest()}-{latest}"


def _hex_of(path: str, algorithm: str) -> str:
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123 - a Path costs more than that
        start = stream.read(_SMALL)
        if len(start) < _SMALL:  # file_digest's buffer costs more than a small file's bytes
            return hashlib.new(algorithm, start).hexdigest()
        stream.seek(0)
        return hashlib.file_digest(stream, algorithm).hexdigest()


def _dvc_listing(digests: Mapping[str, str]) -> bytes:
    return json.dumps(
        [{"md5": digests[name], "relpath": name} for name in sorted(digests)]
    ).encode()


def _encoded(text: str) -> bytes:
    """Encode names as the file system has them, even where they are no UTF-8."""
    return text.encode(errors="surrogateescape")

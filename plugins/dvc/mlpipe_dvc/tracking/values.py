"""What is tracked: what was made, what it holds, and what DVC then knows of it."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Made:
    """A file or folder that was made and is not in its place yet.

    Attributes:
        path: Where it is; it is used up: moved, or left to be deleted. A folder for data sets
            of files.
        place: Where it belongs, absolute.
        label: Its place as people read it, relative to the project's folder.
        links: For a folder: relative name to the file that has the bytes, instead of a folder
            that was made. Such files are only read, and ``path`` is unused.
    """

    path: Path
    place: Path
    label: str
    links: Mapping[str, Path] | None = None


@dataclass(frozen=True, slots=True)
class Tracked:
    """What DVC knows of a file or folder.

    Attributes:
        label: Its place, relative to the project's folder.
        digest: ``md5:<hex>`` of a file, ``md5:<hex>.dir`` of a folder, as DVC computes it.
        size: In bytes, of all files.
        files: How many; 1 for a file.
    """

    label: str
    digest: str
    size: int
    files: int


@dataclass(frozen=True, slots=True)
class Files:
    """Files that were found on the disk, by name relative to their folder, sorted.

    A file that was looked for by itself has an empty name.

    Attributes:
        paths: Where each is.
        statuses: Of each, or of what it links to, in the same order.
        linked: The names of symbolic links.
    """

    paths: Mapping[str, str]
    statuses: Mapping[str, os.stat_result]
    linked: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.paths)

    def without(self, names: Collection[str]) -> Files:
        """Give the others."""
        if not names:
            return self
        kept = [name for name in self.paths if name not in names]
        return Files(
            {name: self.paths[name] for name in kept},
            {name: self.statuses[name] for name in kept},
            self.linked.difference(names),
        )

    def is_shared(self, name: str) -> bool:
        """Tell whether a file has other names, through which it could be changed."""
        return name in self.linked or self.statuses[name].st_nlink > 1


@dataclass(frozen=True, slots=True)
class Content:
    """What a file or folder holds.

    Attributes:
        files: The files.
        md5: Of each of them, by name.
        listing: For a folder, what DVC stores as its ``.dir`` object.
        oid: DVC's name for the whole: the MD5 of the file, or of the listing with ``.dir``.
        size: Of all files, in bytes.
        small: The bytes of small files by MD5, as many as were kept, so that these need not
            be read again.
    """

    files: Files
    md5: Mapping[str, str]
    listing: bytes | None
    oid: str
    size: int
    small: Mapping[str, bytes]

    @property
    def executable(self) -> bool:
        """Whether it is a file that may be executed; DVC notes that."""
        return self.listing is None and bool(self.files.statuses[""].st_mode & 0o111)

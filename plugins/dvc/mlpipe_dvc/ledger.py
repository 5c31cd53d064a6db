"""What this machine knows of versions of data sets: a small JSON file for each.

A file is replaced as a whole, so that none is ever torn, and a damaged one costs what is known
of one version only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from mlpipe_dvc.values import Description


@dataclass(frozen=True, slots=True)
class Entry:
    """A version of a data set.

    Attributes:
        label: The data set: its path in the project, as ``data/train.csv``.
        digest: ``md5:<hex>`` of a file, ``md5:<hex>.dir`` of a folder, as DVC has it.
        size: In bytes.
        files: How many; 1 for a data set that is a file.
        description: Of its table; ``None`` for what is no table, or was not looked at.
        stage: The stage that made it, or ``""``.
        recipe: The recipe of that stage, or ``""``.
        runs: The runs that made it, the first one first.
        created: When it was first made, Unix time in seconds; 0 when that is not known.
        made: When it was last made, likewise.
    """

    label: str
    digest: str
    size: int
    files: int = 1
    description: Description | None = None
    stage: str = ""
    recipe: str = ""
    runs: tuple[str, ...] = ()
    created: float = 0.0
    made: float = 0.0

    def joined(self, later: Entry) -> Entry:
        """Add what a later record of the same version knows."""
        runs = tuple(dict.fromkeys((*self.runs, *later.runs)))
        times = [each for each in (self.created, later.created) if each]
        return replace(
            self,
            description=later.description or self.description,
            stage=self.stage or later.stage,
            recipe=self.recipe or later.recipe,
            runs=runs,
            created=min(times, default=0.0),
            made=max(self.made, later.made, later.created),
        )

    def to_json(self) -> dict[str, Any]:
        """Write as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read from JSON.

        Raises:
            KeyError, TypeError, ValueError: It is no entry.
        """
        described = data["description"]
        return cls(
            label=str(data["label"]),
            digest=str(data["digest"]),
            size=int(data["size"]),
            files=int(data["files"]),
            description=Description.from_json(described) if described else None,
            stage=str(data["stage"]),
            recipe=str(data["recipe"]),
            runs=tuple(map(str, data["runs"])),
            created=float(data["created"]),
            made=float(data["made"]),
        )


class Ledger:
    """The versions that were made or looked at on this machine.

    Args:
        state_dir: The project's ``.mlpipe``.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._folder = state_dir / "dvc" / "versions"

    def record(self, entry: Entry) -> Entry:
        """Note a version; what is known of it already is kept.

        Returns:
            All that is now known of it.

        Raises:
            OSError: The file cannot be written.
        """
        path = self._path(entry.label, entry.digest)
        entry = replace(entry, made=entry.made or entry.created)
        with self._locked(path.parent):
            known = _read(path) if path.exists() else None
            joined = known.joined(entry) if known else entry
            if joined != known:
                _write(path, joined)
        return joined

    def versions(self, label: str | None = None) -> tuple[Entry, ...]:
        """Give what is known, the version that was last made at the end.

        Args:
            label: Of this data set only.
        """
        pattern = f"{_slug(label)}/*.json" if label is not None else "*/*.json"
        found = [entry for path in self._folder.glob(pattern) if (entry := _read(path))]
        return tuple(sorted(found, key=lambda each: (each.made, each.label, each.digest)))

    def _path(self, label: str, digest: str) -> Path:
        return self._folder / _slug(label) / f"{digest.removeprefix('md5:')}.json"

    @contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        """Let one process at a time add to what is known; the kernel frees the lock."""
        folder.mkdir(parents=True, exist_ok=True)
        ignore = self._state_dir / ".gitignore"
        if not ignore.exists():  # nothing was ever run here, as in a fresh clone
            ignore.write_text("*\n")
        with (self._folder / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _slug(label: str) -> str:
    """Give a name for a folder; a label may hold what no name can, and be longer."""
    return hashlib.sha256(label.encode(errors="surrogateescape")).hexdigest()[:32]


def _read(path: Path) -> Entry | None:
    try:
        return Entry.from_json(json.loads(path.read_bytes()))
    except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        print(f"{path}: is damaged and left out: {error!r}", file=sys.stderr)
        return None


def _write(path: Path, entry: Entry) -> None:
    writing = path.with_name(f".{secrets.token_hex(8)}")
    try:
        writing.write_text(json.dumps(entry.to_json()), "ascii")
        writing.replace(path)
    finally:
        writing.unlink(missing_ok=True)

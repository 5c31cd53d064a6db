"""All versions of all data sets: what the ledger, Git's history and the ``.dvc`` files know."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mlpipe_dvc.commands.history import Commit, Snapshot, snapshots
from mlpipe_dvc.commands.pointers import Pointer, files, parse
from mlpipe_dvc.commands.project import Project
from mlpipe_dvc.ledger import Entry
from mlpipe_dvc.values import Description


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a data set.

    Attributes:
        label: The data set.
        digest: ``md5:<hex>``, with ``.dir`` behind it for a folder.
        pointer: How a ``.dvc`` file names it; ``None`` when only the ledger does.
        entry: What the ledger knows.
        commits: The commits that made it the current one, the newest first.
        tags: The tags under which it is the current one.
        current: Whether it is the one of the working tree.
        seen: When its ``.dvc`` file was written, where nothing else is known.
        order: Its place among all versions: the later it was made, the greater.
    """

    label: str
    digest: str
    pointer: Pointer | None = None
    entry: Entry | None = None
    commits: tuple[Commit, ...] = ()
    tags: tuple[str, ...] = ()
    current: bool = False
    seen: float = 0.0
    order: tuple[float, int] = (0.0, 0)

    @property
    def md5(self) -> str:
        """What DVC calls it."""
        return self.digest.removeprefix("md5:")

    @property
    def short(self) -> str:
        """Enough of the digest for people."""
        return self.md5[:8]

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files."""
        return self.md5.endswith(".dir")

    @property
    def size(self) -> int | None:
        """In bytes."""
        said = self.pointer.size if self.pointer else None
        return self.entry.size if self.entry and said is None else said

    @property
    def files(self) -> int | None:
        """How many."""
        said = self.pointer.files if self.pointer else None
        return self.entry.files if self.entry and said is None else said

    @property
    def description(self) -> Description | None:
        """Of its table, where it is known."""
        return self.entry.description if self.entry else None

    @property
    def runs(self) -> tuple[str, ...]:
        """The runs that made it on this machine."""
        return self.entry.runs if self.entry else ()

    @property
    def created(self) -> float | None:
        """When it was made first, Unix time in seconds."""
        if self.entry and self.entry.created:
            return self.entry.created
        return min((commit.time for commit in self.commits), default=self.seen or None)


@dataclass(frozen=True, slots=True)
class DataSet:
    """A data set.

    Attributes:
        label: Its path, relative to the project's folder.
        versions: The newest first.
    """

    label: str
    versions: tuple[Version, ...]

    @property
    def current(self) -> Version | None:
        """The version of the working tree."""
        return next((each for each in self.versions if each.current), None)


def catalogue(project: Project) -> tuple[DataSet, ...]:
    """Give all data sets that the project has or had, sorted. Changes nothing."""
    current = _current(project.root)
    history = _Facts()
    for snapshot in snapshots(project.root) if project.git else ():
        history.add(snapshot)
    for pointer in current.values():
        history.pointers.setdefault((pointer.label, pointer.digest), pointer)
    entries = {(entry.label, entry.digest): entry for entry in project.ledger.versions()}
    versions = [
        _version(project.root, key, history, entries.get(key), current)
        for key in {**history.pointers, **entries}
    ]
    return tuple(
        DataSet(label, tuple(sorted(found, key=lambda each: each.order, reverse=True)))
        for label, found in sorted(_by_label(versions).items())
    )


class _Facts:
    """What snapshots say, by label and digest."""

    def __init__(self) -> None:
        self.pointers: dict[tuple[str, str], Pointer] = {}
        self.commits: dict[tuple[str, str], dict[Commit, int]] = {}
        self.tags: dict[tuple[str, str], list[str]] = {}
        self._seen = 0

    def add(self, snapshot: Snapshot) -> None:
        """Add the next older snapshot."""
        self._seen += 1
        try:
            found = parse(snapshot.file, snapshot.content)
        except ValueError:  # once committed, there is nothing that anyone could do about it
            return
        for pointer in found:
            key = (pointer.label, pointer.digest)
            self.pointers.setdefault(key, pointer)
            if snapshot.commit is not None:
                self.commits.setdefault(key, {}).setdefault(snapshot.commit, -self._seen)
            else:
                self.tags.setdefault(key, []).append(snapshot.tag)


def _current(root: Path) -> Mapping[str, Pointer]:
    found: dict[str, Pointer] = {}
    for file in files(root):
        try:
            pointers = parse(file, (root / file).read_bytes())
        except (OSError, ValueError) as error:
            print(f"{file}: is left out: {error}", file=sys.stderr)
        else:
            found.update((pointer.label, pointer) for pointer in pointers)
    return found


def _version(
    root: Path,
    key: tuple[str, str],
    history: _Facts,
    entry: Entry | None,
    current: Mapping[str, Pointer],
) -> Version:
    label, digest = key
    commits = history.commits.get(key, {})
    here = current.get(label)
    is_current = here is not None and here.digest == digest
    seen = 0.0
    if is_current and here is not None and not commits and not (entry and entry.made):
        seen = (root / here.file).stat().st_mtime
    made = max((seen, entry.made if entry else 0.0, *(commit.time for commit in commits)))
    return Version(
        label=label,
        digest=digest,
        pointer=here if is_current else history.pointers.get(key),
        entry=entry,
        commits=tuple(commits),
        tags=tuple(history.tags.get(key, ())),
        current=is_current,
        seen=seen,
        order=(made, max(commits.values(), default=0)),
    )


def _by_label(versions: Iterable[Version]) -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = {}
    for version in versions:
        found.setdefault(version.label, []).append(version)
    return found

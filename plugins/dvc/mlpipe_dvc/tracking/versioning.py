"""Putting data under DVC: placed, tracked, pushed. Committing to Git is the user's."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.tracking import aside
from mlpipe_dvc.tracking.guarding import Guard, require_trackable, tracked_at
from mlpipe_dvc.tracking.index import Index
from mlpipe_dvc.tracking.locking import held
from mlpipe_dvc.tracking.memory import Memory
from mlpipe_dvc.tracking.mending import mend
from mlpipe_dvc.tracking.objects import Objects
from mlpipe_dvc.tracking.outs import outs_of
from mlpipe_dvc.tracking.placing import Placer
from mlpipe_dvc.tracking.pushing import push
from mlpipe_dvc.tracking.reading import Ignored, read
from mlpipe_dvc.tracking.recording import record
from mlpipe_dvc.tracking.remotes import choose
from mlpipe_dvc.tracking.repository import ensure, ignored_by, open_repository
from mlpipe_dvc.tracking.storing import store
from mlpipe_dvc.tracking.values import Content, Made, Tracked

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo

#: Seconds to go on asking for DVC's lock.
PATIENCE = 30.0


def version(
    made: Sequence[Made],
    root: Path,
    state_dir: Path,
    remote: str | None = None,
    patience: float = PATIENCE,
) -> list[Tracked]:
    """Place files and folders, track them with DVC and push them.

    Args:
        made: What was made; whatever is in place already is kept where it is the same.
        root: The project's folder.
        state_dir: ``.mlpipe``.
        remote: What the recipe says of the remote.
        patience: Seconds to wait for another DVC process.

    Returns:
        What DVC knows now, in the given order.

    Raises:
        StageError: The repository or the remote cannot be used, or data would be lost.
    """
    made = [replace(each, place=_resolved(each.place, root)) for each in made]
    root, state_dir = root.resolve(), state_dir.resolve()
    own = state_dir / "dvc"
    index = Index(own / "index.db")
    with _translated():
        with _exclusive(own / "lock"):
            folder = ensure(root, state_dir)
            url = choose(folder / ".dvc", remote, root, own / "remote")
        with open_repository(folder, state_dir) as repo:
            seen = time.time_ns()
            ignored = ignored_by(repo, state_dir)
            versions = [(each, read(each, index, ignored)) for each in made]
            with _exclusive(own / "lock"), held(repo, [each.place for each in made], patience):
                outs = outs_of(repo, state_dir)
                tools = _Tools(repo, index, Memory(own / "placed"), ignored, seen)
                outs = _track(tools, outs, versions)
            push(repo, outs, [content for _, content in versions], url, patience)
    return [_tracked(each, content) for each, content in versions]


@dataclass(frozen=True, slots=True)
class _Tools:
    repo: Repo
    index: Index
    memory: Memory
    ignored: Ignored
    seen: int


def _track(
    tools: _Tools, known: Sequence[Output], versions: Sequence[tuple[Made, Content]]
) -> list[Output]:
    """Look at all places, then store, place and record: each step for all before the next."""
    repo, index, memory = tools.repo, tools.index, tools.memory
    cache = Objects(repo.cache.local, index)
    ways = tuple(repo.cache.local.cache_types)
    guard = Guard(index, tools.ignored, _reader(repo, cache), _explainer(repo, cache))
    placer = Placer(cache, index, ways, tools.seen)
    found = []
    for made, content in versions:
        aside.sweep(made.place)
        out = tracked_at(made, known)
        if out is None:
            require_trackable(made, repo)
        found.append((out, guard.look(made, content, out, memory.recall(made.place))))
    for made, content in versions:
        store(made, content, cache, ways, tools.seen)
    for (made, content), (_, present) in zip(versions, found, strict=True):
        if present.md5 != content.md5:
            memory.keep(made.place, content.oid)
            placer.place(made, content, present)
    outs = []
    for (made, content), (out, _) in zip(versions, found, strict=True):
        outs.append(record(repo, made, content, out))
        memory.forget(made.place)
    return outs


def _reader(repo: Repo, cache: Objects) -> Callable[[str], bytes | None]:
    """Give what reads an object from the cache, else from the remote."""

    def read(oid: str) -> bytes | None:
        data = cache.read(oid)
        if data is None:
            mend(repo, cache, [oid])
        return data or cache.read(oid)

    return read


def _explainer(repo: Repo, cache: Objects) -> Callable[[str], str]:
    """Give what tells whether an edit went through a link into the cache, and mends that."""

    def explain(oid: str) -> str:
        found = mend(repo, cache, [oid])
        if found.lost:
            return ", and DVC's cache has lost what was recorded, as has the remote"
        if found.corrupt:
            return ", and so was its copy in DVC's cache, which was fetched again"
        return ""

    return explain


def _tracked(made: Made, content: Content) -> Tracked:
    return Tracked(made.label, f"md5:{content.oid}", content.size, len(content.files))


def _resolved(place: Path, root: Path) -> Path:
    """Give a place below the project's real folder: DVC compares paths as they are written."""
    return root.resolve() / place.relative_to(root) if place.is_relative_to(root) else place


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Let one stage of the project at a time change DVC's files; the kernel frees the lock."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _translated() -> Iterator[None]:
    from dvc.exceptions import DvcException

    try:
        yield
    except (DvcException, OSError) as error:
        raise StageError(f"the data could not be put under DVC: {error}") from error

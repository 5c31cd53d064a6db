"""Sending what is tracked to the remote.

A remote that is a folder is another folder of objects, which is filled here. All others are
left to DVC's own code, which knows their protocols, settings and credentials.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlpipe import MlpipeError
from mlpipe.errors import StageError
from mlpipe_dvc.tracking.index import Index
from mlpipe_dvc.tracking.links import Linker
from mlpipe_dvc.tracking.locking import patiently
from mlpipe_dvc.tracking.objects import MODE, Objects
from mlpipe_dvc.tracking.values import Content, Made

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo


def push(
    repo: Repo,
    versions: Sequence[tuple[Made, Content]],
    index: Index,
    url: str,
    patience: float,
) -> None:
    """Send versions that are tracked; what is there already is not sent again.

    Args:
        repo: DVC's repository.
        versions: What is in its place and recorded.
        index: What is known of files.
        url: How people know the remote.
        patience: Seconds to wait for another DVC process.

    Raises:
        StageError: The remote refuses. The data stays tracked, and the next run pushes it.
    """
    cache = Objects(repo.cache.local, index)
    with _reported(url):
        remote = _folder(repo, versions, index)
        if remote is None:
            targets = [str(made.place) for made, _ in versions]
            count = patiently(lambda: repo.push(targets=targets), patience)
        else:
            count = sum(_send(content, cache, remote) for _, content in versions)
    print(f"{count:,} new objects were pushed to {url}")


def _folder(repo: Repo, versions: Sequence[tuple[Made, Content]], index: Index) -> Objects | None:
    """Give the remote's objects where they are in a folder that takes all versions."""
    from dvc_data.hashfile.db.local import LocalHashFileDB

    places = {str(made.place) for made, _ in versions}
    outs = [out for out in repo.index.outs if out.fs_path in places]
    remote = repo.cloud.get_remote()
    plain = not remote.worktree and isinstance(remote.odb, LocalHashFileDB)
    if plain and not any(map(_is_special, outs)):
        return Objects(remote.odb, index)
    return None


def _is_special(out: Output) -> bool:
    """Tell whether a ``.dvc`` file says where, or whether, its data is to be pushed."""
    return bool(out.remote) or not out.can_push


def _send(content: Content, cache: Objects, remote: Objects) -> int:
    """Copy what a folder remote lacks; the listing comes last and says that all is there."""
    if content.listing is not None and remote.has(content.oid, len(content.listing)):
        return 0
    sizes = {md5: content.files.statuses[name].st_size for name, md5 in content.md5.items()}
    lacking = [oid for oid, size in sizes.items() if not remote.has(oid, size)]
    remote.sweep()
    linker = Linker(["reflink", "copy"], MODE)
    written = {oid: remote.put(oid, cache.path(oid), linker) for oid in lacking}
    if content.listing is not None:
        written[content.oid] = remote.put_bytes(content.oid, content.listing)
    return len(written)


@contextmanager
def _reported(url: str) -> Iterator[None]:
    """Tell of a refusal in one sentence; DVC itself only logs why an object was refused."""
    causes = _Causes()
    logger = logging.getLogger("dvc_data")
    logger.addHandler(causes)
    try:
        yield
    except MlpipeError:
        raise
    except Exception as error:  # each kind of remote raises errors of its own library
        why = causes.first or error
        raise StageError(
            f"the data is tracked, but was not pushed: {why}",
            where=url,
            fix="Repair access to the remote and run again; nothing is sent twice.",
        ) from error
    finally:
        logger.removeHandler(causes)


class _Causes(logging.Handler):
    """Keeps the first exception that is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.first: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take notice of a log record."""
        if self.first is None and record.exc_info:
            self.first = record.exc_info[1]

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
from mlpipe_dvc.tracking.links import Linker
from mlpipe_dvc.tracking.locking import patiently
from mlpipe_dvc.tracking.objects import MODE, Objects
from mlpipe_dvc.tracking.values import Content

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo


def push(
    repo: Repo, outs: Sequence[Output], contents: Sequence[Content], url: str, patience: float
) -> None:
    """Send versions that are tracked; what is there already is not sent again.

    Args:
        repo: DVC's repository.
        outs: What DVC tracks, and is to be sent.
        contents: What each of these holds, in the same order.
        url: How people know the remote.
        patience: Seconds to wait for another DVC process.

    Raises:
        StageError: The remote refuses. The data stays tracked, and the next run pushes it.
    """
    with _reported(url):
        remote = _folder(repo, outs)
        if remote is None:
            targets = [out.fs_path for out in outs]
            count = patiently(lambda: repo.push(targets=targets), patience)
        else:
            cache = Objects(repo.cache.local)
            count = sum(_send(content, cache, remote) for content in contents)
    print(f"{count:,} new objects were pushed to {url}")


def _folder(repo: Repo, outs: Sequence[Output]) -> Objects | None:
    """Give the remote's objects where they are in a folder that takes all of it."""
    from dvc_data.hashfile.db.local import LocalHashFileDB

    remote = repo.cloud.get_remote()
    plain = not remote.worktree and isinstance(remote.odb, LocalHashFileDB)
    return Objects(remote.odb) if plain and not any(map(_is_special, outs)) else None


def _is_special(out: Output) -> bool:
    """Tell whether a ``.dvc`` file says where, or whether, its data is to be pushed."""
    return bool(out.remote) or not out.can_push


def _send(content: Content, cache: Objects, remote: Objects) -> int:
    """Copy what a folder remote lacks; the listing comes last and says that all is there."""
    if content.listing is not None and remote.has(content.oid, len(content.listing)):
        return 0
    sizes = {md5: content.files.statuses[name].st_size for name, md5 in content.md5.items()}
    lacking = [oid for oid, size in sizes.items() if not remote.has(oid, size)]
    linker = Linker(["reflink", "copy"], MODE)
    with remote.adding() as adding:
        for oid in lacking:
            adding.copy(oid, cache.path(oid), linker)
    if content.listing is not None:
        with remote.adding() as last:
            last.write(content.oid, content.listing)
        return len(lacking) + 1
    return len(lacking)


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

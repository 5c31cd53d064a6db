"""DVC's locks: waited for, held, and kept in a state that DVC itself can read."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlpipe.errors import StageError

if TYPE_CHECKING:
    from dvc.repo import Repo

T = TypeVar("T")

_PAUSE_SECONDS = 0.2


@contextmanager
def held(repo: Repo, places: Sequence[Path], patience: float) -> Iterator[None]:
    """Hold the repository's lock, once nobody else is writing to the places.

    Args:
        repo: DVC's repository.
        places: What is going to be written.
        patience: Seconds to wait for another process.

    Raises:
        StageError: It was in use for longer than that.
    """
    from dvc.repo import lock_repo

    with ExitStack() as stack:
        patiently(lambda: stack.enter_context(lock_repo(repo)), patience)
        patiently(lambda: _require_free(repo, places), patience)
        yield


def patiently(act: Callable[[], T], patience: float) -> T:
    """Call again while another process holds DVC's lock.

    Raises:
        StageError: It was held for longer than the given seconds.
    """
    from dvc.lock import LockError

    deadline = time.monotonic() + patience
    while True:
        try:
            return act()
        except LockError as error:
            if time.monotonic() >= deadline:
                raise StageError(
                    f"another DVC process has locked the repository for over {patience:.0f} s",
                    where=".dvc/tmp",
                    fix="Wait until it has ended, and run again.",
                ) from error
            time.sleep(_PAUSE_SECONDS)


def _require_free(repo: Repo, places: Sequence[Path]) -> None:
    """See that no stage of a running ``dvc repro`` uses the places.

    While its commands run it gives the repository's lock away, and notes what it uses in a
    file. Where it was killed while it wrote that file, half of it is left, and no command of
    DVC works any more: such a file is removed. The guard tells it from one being written.
    """
    from dvc.lock import LockError, make_lock

    assert repo.tmp_dir
    file = Path(repo.tmp_dir) / "rwlock"
    hardlinks = repo.config["core"].get("hardlink_lock", False)
    guard = make_lock(f"{file}.lock", tmp_dir=repo.tmp_dir, hardlink_lock=hardlinks)
    with guard:
        try:
            noted = json.loads(file.read_bytes())
            holders = [*_entries(noted.get("write")), *_entries(noted.get("read"))]
        except FileNotFoundError:
            return
        except (ValueError, TypeError, AttributeError, KeyError):
            file.unlink()
            return
    for used, pid in holders:
        if _is_alive(pid) and any(_overlap(each, Path(used)) for each in places):
            raise LockError(f"{used} is in use")


def _entries(noted: object) -> list[tuple[str, int]]:
    """Give paths and the processes that use them; readers are lists, a writer is not."""
    assert noted is None or isinstance(noted, dict)
    return [
        (path, int(each["pid"]))
        for path, users in (noted or {}).items()
        for each in (users if isinstance(users, list) else [users])
    ]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return pid != os.getpid()


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)

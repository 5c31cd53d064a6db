"""Finding runs whose runner died, and tidying up after them."""

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from mlpipe.engine.processes import kill_leftover
from mlpipe.store import Store
from mlpipe.store.runs import RunRow, RunState, StageState


@contextmanager
def alive(folder: Path) -> Iterator[None]:
    """Show others that this run's runner lives, for the length of a block.

    The block begins before the run is recorded and ends after its end is: a run that is recorded
    as running and holds no lock is dead. The kernel drops the lock when the process ends, however
    it ends.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "alive"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        path.unlink(missing_ok=True)
        with suppress(OSError):  # not empty: the run has logs
            folder.rmdir()
        os.close(descriptor)


def recover(store: Store) -> list[str]:
    """Mark runs whose runner is gone as killed, and end what they left behind.

    Returns:
        Their identifiers.
    """
    dead = [run for run in store.runs.in_state(RunState.RUNNING) if not _lives(store, run)]
    for run in dead:
        _bury(store, run)
    return [run.id for run in dead]


def _lives(store: Store, run: RunRow) -> bool:
    if _locked(store.run_folder(run.id) / "alive"):
        return True
    now = store.runs.get(run.id)
    return now is None or now.state is not RunState.RUNNING  # it has ended meanwhile


def _locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _bury(store: Store, run: RunRow) -> None:
    now = time.time()
    left = [each for each in store.runs.stages(run.id) if each.state is StageState.RUNNING]
    for stage in left:
        if stage.process:
            kill_leftover(stage.process)
    # First of all: it may be what fills the disk, and then nothing could be recorded.
    shutil.rmtree(store.folder / "scratch" / run.id, ignore_errors=True)
    with store.transaction():
        store.runs.put_stages(
            [replace(each, state=StageState.INTERRUPTED, finished=now) for each in left]
        )
        store.runs.finish(run.id, RunState.KILLED, now, "the runner was killed")
        store.journal.append(
            run.id,
            "run_finished",
            state=RunState.KILLED,
            seconds=now - run.started,
            error="the runner was killed",
        )
    (store.run_folder(run.id) / "alive").unlink(missing_ok=True)

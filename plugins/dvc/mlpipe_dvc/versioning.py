"""Putting files under DVC: placed, tracked, pushed. Committing to Git is the user's."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from mlpipe import MlpipeError
from mlpipe.errors import StageError
from mlpipe_dvc.placing import Fresh, Memory, place_all
from mlpipe_dvc.remotes import choose
from mlpipe_dvc.repository import ensure, open_repository

if TYPE_CHECKING:
    from dvc.repo import Repo

T = TypeVar("T")

#: Seconds to go on asking for DVC's lock.
PATIENCE = 30.0


def version(
    files: Sequence[Fresh],
    root: Path,
    state_dir: Path,
    remote: str | None = None,
    patience: float = PATIENCE,
) -> None:
    """Place files, track them with DVC and push them.

    Args:
        files: New files; whatever is in their places already is kept when it is the same.
        root: The project's folder.
        state_dir: ``.mlpipe``.
        remote: What the recipe says of the remote.
        patience: Seconds to wait for another DVC process.

    Raises:
        StageError: The repository or the remote cannot be used, or a file would be lost.
    """
    root, state_dir = root.resolve(), state_dir.resolve()
    own = state_dir / "dvc"
    with _exclusive(own / "lock"), _translated():
        folder = ensure(root, state_dir)
        url = choose(folder / ".dvc", remote, root, own / "remote")
        with open_repository(folder, state_dir) as repo:
            place_all(files, repo, Memory(own / "placed"))
            _add(repo, files, patience)
            _push(repo, files, url, patience)


def _add(repo: Repo, files: Sequence[Fresh], patience: float) -> None:
    """Track what is not tracked as it is; DVC would replace even an unchanged file by a copy."""
    new = [file for file in files if not _is_kept(repo, file)]
    targets = [str(file.place) for file in new]
    stages = _patiently(lambda: repo.add(targets), patience) if new else []
    for file, stage in zip(new, stages, strict=True):
        if f"md5:{stage.outs[0].hash_info.value}" != file.digest:
            raise StageError(
                "was changed by another process while it was being tracked", where=file.label
            )


def _is_kept(repo: Repo, file: Fresh) -> bool:
    """Tell whether DVC records and stores these bytes already, and Git ignores them."""
    from dvc.scm import NoSCM

    md5 = file.digest.removeprefix("md5:")
    recorded = [out for out in repo.index.outs if out.fs_path == str(file.place)]
    if not recorded or recorded[0].hash_info.value != md5:
        return False
    stored = Path(repo.cache.local.oid_to_path(md5)).is_file()
    return stored and (isinstance(repo.scm, NoSCM) or repo.scm.is_ignored(str(file.place)))


def _push(repo: Repo, files: Sequence[Fresh], url: str, patience: float) -> None:
    targets = [str(file.place) for file in files]
    try:
        pushed = _patiently(lambda: repo.push(targets=targets), patience)
    except MlpipeError:
        raise
    except Exception as error:  # each kind of remote raises errors of its own library
        raise StageError(
            f"the data is tracked, but was not pushed: {error}",
            where=url,
            fix="Repair access to the remote and run again; nothing is sent twice.",
        ) from error
    print(f"{pushed} of {len(files)} files were new to {url}")


def _patiently(act: Callable[[], T], patience: float) -> T:
    """Call again while another process holds DVC's lock."""
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
            time.sleep(0.2)


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

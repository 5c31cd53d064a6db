"""All that a DVC repository tracks.

DVC's own ``repo.index`` matches every file of the project against ``.dvcignore`` and
``.gitignore`` before it looks at its name. Here only files of DVC's are matched, which makes a
difference where there are ten thousand others.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo

_SKIPPED = frozenset({".dvc", ".git", ".hg"})


def outs_of(repo: Repo, state_dir: Path) -> list[Output]:
    """Give what the files of DVC in a repository name.

    Args:
        repo: DVC's repository.
        state_dir: ``.mlpipe``, where there is nothing of that kind.
    """
    from dvc.dvcfile import is_valid_filename

    outs: list[Output] = []
    known: set[str] = {str(state_dir)}
    waiting = [str(repo.root_dir)]
    while waiting:
        folder = waiting.pop()
        with os.scandir(folder) as entries:
            found = [(entry.name, entry.path, entry.is_dir()) for entry in entries]
        if folder != repo.root_dir and any(name == ".dvc" for name, _, _ in found):
            continue  # a repository of its own
        for name, path, is_folder in found:
            if not is_folder and is_valid_filename(name) and not _is_ignored(repo, path):
                new = _load(repo, path)
                outs += new
                known.update(out.fs_path for out in new)
        waiting += [
            path
            for name, path, is_folder in found
            if is_folder and name not in _SKIPPED and path not in known
            if not os.path.islink(path)
        ]
    return outs


def _load(repo: Repo, path: str) -> list[Output]:
    from dvc.repo.index import Index

    return list(Index.from_file(repo, path).outs)


def _is_ignored(repo: Repo, path: str) -> bool:
    from dvc.scm import NoSCM

    if repo.dvcignore.is_ignored_file(path):
        return True
    return not isinstance(repo.scm, NoSCM) and bool(repo.scm.is_ignored(path))

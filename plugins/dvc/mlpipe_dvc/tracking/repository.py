"""The DVC repository that a project's data is in: found, or made as ``dvc init`` makes it."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.tracking.reading import Ignored

if TYPE_CHECKING:
    from dvc.repo import Repo


def ensure(root: Path, state_dir: Path) -> Path:
    """Give the folder that holds ``.dvc``: the project's or, in Git, one above it.

    Where there is none, one is made in the project. Nothing is staged in Git's index.

    Args:
        root: The project's folder.
        state_dir: ``.mlpipe``, which DVC is told not to search for data.

    Raises:
        StageError: ``.dvc`` is something else, or Git ignores it.
    """
    git = _git_top(root)
    above = [each for each in root.parents if git and each.is_relative_to(git)]
    for folder in (root, *above):
        if (folder / ".dvc").is_dir():
            return folder
    if (root / ".dvc").exists():
        raise StageError("is a file, where DVC's folder belongs", where=".dvc", fix="Move it away.")
    _create(root, state_dir, git=git is not None)
    return root


def _git_top(folder: Path) -> Path | None:
    return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)


def _create(root: Path, state_dir: Path, *, git: bool) -> None:
    """Build the folder aside, then rename it: a repository is there whole or not at all.

    ``Repo.init`` is not called because it stages its files in Git's index.
    """
    from dvc.config import Config
    from dvc.scm import SCM

    if git and SCM(str(root)).is_ignored(str(root / ".dvc")):
        raise StageError(
            "is ignored by Git, so its settings could not be committed",
            where=".dvc",
            fix="Add a line !/.dvc to .gitignore.",
        )
    building = root / ".dvc.new"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    with Config.init(str(building)).edit("repo") as settings:
        settings["core"].update(analytics=False, check_update=False)
        if not git:
            settings["core"]["no_scm"] = True
    _ignore(root, state_dir)
    building.rename(root / ".dvc")


def _ignore(root: Path, state_dir: Path) -> None:
    """Keep DVC from walking through mlpipe's own files on each command."""
    file = root / ".dvcignore"
    known = file.read_text() if file.exists() else ""
    line = f"/{state_dir.relative_to(root).as_posix()}\n"
    if line not in known:
        file.write_text(known + ("\n" if known and not known.endswith("\n") else "") + line)


def open_repository(folder: Path, state_dir: Path) -> Repo:
    """Open a repository for use by this process; close it with ``with``.

    Args:
        folder: Holds ``.dvc``.
        state_dir: ``.mlpipe``; DVC's caches of this machine are kept below it.
    """
    from dvc.repo import Repo

    # autostage: what enters the next commit is the user's to say.
    core = {
        "analytics": False,
        "autostage": False,
        "check_update": False,
        "site_cache_dir": str(state_dir / "dvc" / "site-cache"),
    }
    if _git_top(folder) is None:  # as in an export of a repository that was made in Git
        core["no_scm"] = True
    return Repo(str(folder), config={"core": core})


def ignored_by(repo: Repo, state_dir: Path) -> Ignored:
    """Give what tells which files of a folder ``.dvcignore`` names.

    DVC's own matching costs more than all else that an unchanged file costs, so it is only
    asked where there are patterns that could match.
    """
    root = Path(repo.root_dir)
    always = {".git", ".hg", ".dvc"}

    def ignored(folder: str, names: Collection[str]) -> set[str]:
        if _has_patterns(root, Path(folder), state_dir):
            return {n for n in names if repo.dvcignore.is_ignored_file(f"{folder}/{n}")}
        if not any(each in "\n".join(names) for each in always):
            return set()
        return {name for name in names if not always.isdisjoint(name.split("/"))}

    return ignored


def _has_patterns(root: Path, folder: Path, state_dir: Path) -> bool:
    for each in folder.parents:
        own = f"/{state_dir.relative_to(each).as_posix()}" if each in state_dir.parents else ""
        file = each / ".dvcignore"
        if file.is_file():
            lines = {line.strip() for line in file.read_text().splitlines()}
            if any(line and line != own and not line.startswith("#") for line in lines):
                return True
        if each == root:
            break
    return False

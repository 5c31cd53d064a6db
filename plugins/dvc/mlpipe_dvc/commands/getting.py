"""Checking out a version: to its own place, or to any other."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe import UserError
from mlpipe.errors import StageError
from mlpipe_dvc.commands.catalogue import DataSet, Version
from mlpipe_dvc.commands.contents import opened
from mlpipe_dvc.commands.knowledge import entry_of
from mlpipe_dvc.commands.project import Project

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo


def write_to(version: Version, path: Path, project: Project) -> Path:
    """Write a version's bytes somewhere; nothing else is changed.

    Args:
        version: The version.
        path: A new path, or a folder to put it into under its own name.
        project: The project.

    Returns:
        Where it is.

    Raises:
        UserError: Something else is there.
        StageError: The bytes are nowhere, or cannot be written there.
    """
    target = path / Path(version.label).name if path.is_dir() else path
    with opened(project) as (_, contents):
        objects = contents.objects(version)
        if target.exists() or target.is_symlink():
            if _is_there(target, objects):
                return target
            raise UserError(
                "is there already, with other content",
                where=str(target),
                fix="Name another path, or move it away.",
            )
        try:
            _copy(objects, target, is_folder=version.is_folder)
        except OSError as error:
            raise StageError(
                f"cannot be written: {error.strerror or error}",
                where=str(target),
                fix="Make room there, or name another path.",
            ) from error
    return target


def _copy(objects: Mapping[str, Path], target: Path, *, is_folder: bool) -> None:
    """Copy aside, then rename: the target is there whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".mlpipe-", dir=target.parent) as scratch:
        made = Path(scratch) / "data"
        if is_folder:
            made.mkdir()
        for name, stored in objects.items():
            file = made / name if name else made
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(stored, file)
        made.rename(target)


def put_in_place(version: Version, data: DataSet, project: Project) -> Path:
    """Make a version the current one: its bytes and its ``.dvc`` file, as if by ``dvc checkout``.

    Args:
        version: The version.
        data: All versions of its data set.
        project: The project.

    Returns:
        Where it is.

    Raises:
        StageError: What is there now would be lost, or the bytes are nowhere.
    """
    place = project.root / version.label
    with opened(project) as (repo, contents), _locked(repo):
        _save(place, data, project, repo)
        contents.objects(version)
        file = project.root / _file(version, data)
        with _kept_on_failure(file):
            _point(file, place, version, repo)
            repo.checkout(targets=[str(file)])
    return place


def _is_there(target: Path, objects: Mapping[str, Path]) -> bool:
    if "" in objects:
        return target.is_file() and _same(target, objects[""])
    files = {each.relative_to(target).as_posix() for each in target.rglob("*") if each.is_file()}
    return files == objects.keys() and all(_same(target / n, objects[n]) for n in files)


def _same(file: Path, other: Path) -> bool:
    if file.stat().st_size != other.stat().st_size:
        return False
    return _digest(file) == _digest(other)


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _file(version: Version, data: DataSet) -> str:
    """Give the ``.dvc`` file: the one that is there, else the one that was, else DVC's choice."""
    for each in (data.current, version):
        if each is not None and each.pointer is not None:
            return each.pointer.file
    return f"{version.label}.dvc"


def _save(place: Path, data: DataSet, project: Project, repo: Repo) -> None:
    """See that what is in place can be had again: its bytes by DVC, its version by name."""
    from dvc.scm import NoSCM

    if not isinstance(repo.scm, NoSCM) and repo.scm.is_tracked(str(place)):
        raise StageError(
            "is tracked by Git, so DVC cannot put a version there",
            where=data.label,
            fix="Write it elsewhere: --output PATH.",
        )
    current = data.current
    if current is not None and current.entry is None and not current.commits:
        project.ledger.record(entry_of(current))
    if place.exists() and (lost := _lost(place, current, project.root, repo)):
        count = f"{lost:,} of its files are" if place.is_dir() else "it is"
        raise StageError(
            f"would be lost: {count} not in DVC's cache",
            where=data.label,
            fix=f"Keep it with dvc add {data.label}, or write the version elsewhere:"
            " --output PATH.",
        )


def _lost(place: Path, current: Version | None, root: Path, repo: Repo) -> int:
    """Count the files that DVC's cache lacks, after adding those of the current version to it."""
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.tree import Tree

    name = current.pointer.hash if current and current.pointer else "md5"
    cache = repo.cache.local if name == "md5" else repo.cache.legacy
    _, _, found = build(cache, str(place), repo.fs, name, ignore=repo.dvcignore, dry_run=True)
    oids = {each.value for _, _, each in found} if isinstance(found, Tree) else {found.oid}
    lost = [oid for oid in oids if not cache.exists(oid)]
    if lost and current and current.pointer and found.oid == current.md5:
        _out(root / current.pointer.file, place, repo).commit()
        return 0
    return len(lost)


@contextmanager
def _kept_on_failure(file: Path) -> Iterator[None]:
    before = file.read_bytes() if file.exists() else None
    try:
        yield
    except BaseException:
        if before is None:
            file.unlink(missing_ok=True)
        else:
            file.write_bytes(before)
        raise


def _point(file: Path, place: Path, version: Version, repo: Repo) -> None:
    """Write the ``.dvc`` file as DVC would, and have Git ignore the data."""
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_data.hashfile.meta import Meta

    name = version.pointer.hash if version.pointer else "md5"
    files = version.files if version.is_folder else None
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        facts = {"md5": version.md5, "size": version.size, "nfiles": files, "hash": name}
        lines = [f"  {key}: {fact}\n" for key, fact in facts.items() if fact is not None]
        path = json.dumps(place.name)  # a name may hold what YAML reads otherwise
        file.write_text("outs:\n-" + "".join(lines)[1:] + f"  path: {path}\n")
    out = _out(file, place, repo)
    out.hash_info = HashInfo(name, version.md5)
    out.meta = Meta(isdir=version.is_folder, size=version.size, nfiles=files)
    out.files = None
    out.stage.dump()
    out.stage.ignore_outs()


def _out(file: Path, place: Path, repo: Repo) -> Output:
    stage = repo.stage.load_one(str(file))
    return next(out for out in stage.outs if out.fs_path == str(place))


@contextmanager
def _locked(repo: Repo) -> Iterator[None]:
    from dvc.lock import LockError
    from dvc.repo import lock_repo

    try:
        with lock_repo(repo):
            yield
    except LockError as error:
        raise StageError(
            "another DVC process has locked the repository",
            where=".dvc/tmp",
            fix="Wait until it has ended, and try again.",
        ) from error

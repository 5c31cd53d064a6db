"""What people call data sets and versions, as ``train@v1``."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from mlpipe import UserError
from mlpipe_dvc.commands.catalogue import DataSet, Version
from mlpipe_dvc.commands.history import GitFailed, read
from mlpipe_dvc.commands.pointers import parse
from mlpipe_dvc.commands.project import Project

#: The fewest digits of a digest or run that stand for it.
_DIGITS = 4


def split(text: str, sets: Sequence[DataSet], project: Project, here: Path) -> tuple[str, str]:
    """Divide ``DATASET[@VERSION]`` into its two parts; a label may hold an @ itself."""
    for label in sorted((each.label for each in sets), key=len, reverse=True):
        if text == label or text.startswith(f"{label}@"):
            return label, text[len(label) + 1 :]
    ends = [at for at, each in enumerate(text) if each == "@"] + [len(text)]
    end = next((at for at in ends if _meant(sets, text[:at], project, here)), ends[0])
    return text[:end], text[end + 1 :]


def find_data_set(sets: Sequence[DataSet], name: str, project: Project, here: Path) -> DataSet:
    """Give the data set of a name: its label, its path from here, or an end of its label.

    Raises:
        UserError: There is none, or there are several.
    """
    found = _meant(sets, name, project, here)
    if len(found) > 1:
        raise UserError(
            f'"{name}" may be any of: {", ".join(each.label for each in found)}',
            fix="Name one of them in full.",
        )
    if not found:
        raise _unknown(name, [each.label for each in sets])
    return found[0]


def _meant(sets: Sequence[DataSet], name: str, project: Project, here: Path) -> list[DataSet]:
    wanted = name.rstrip("/").removesuffix(".dvc")
    from_here = os.path.relpath(here.resolve() / wanted, project.root)
    for is_meant in (
        lambda label: label == wanted,
        lambda label: label == from_here,
        lambda label: _ends(label, wanted),
    ):
        if found := [each for each in sets if is_meant(each.label)]:
            return found
    return []


def _ends(label: str, wanted: str) -> bool:
    parts, tail = PurePosixPath(label).parts, PurePosixPath(wanted).parts
    bare = (*parts[:-1], PurePosixPath(label).stem)
    return bool(tail) and tail in (parts[-len(tail) :], bare[-len(tail) :])


def _unknown(name: str, labels: Sequence[str]) -> UserError:
    if not labels:
        return UserError(
            f'there is no data set "{name}"',
            fix="The project has none; a recipe with a dvc.prepare stage makes them.",
        )
    near = difflib.get_close_matches(name, labels, 3, 0.4) or labels[:10]
    return UserError(
        f'there is no data set "{name}"',
        fix=f"Near: {', '.join(near)}. See mlpipe data list.",
    )


def find_version(data: DataSet, name: str, project: Project) -> Version:
    """Give the version of a name.

    Args:
        data: The data set.
        name: ``current`` (also ``""``), ``previous``, a digest or a run or their beginning,
            four digits or more, or what Git can resolve, as a tag or commit.
        project: The project.

    Raises:
        UserError: There is none, or there are several.
    """
    if name in ("", "current"):
        return _current(data)
    if name == "previous":
        return _previous(data)
    versions = data.versions
    found = [each for each in versions if name in (each.digest, each.md5, *each.runs)]
    if len(found) != 1:
        meant = {*_beginning(versions, name), *_in_git(data, name, project)}
        found = [each for each in versions if each.digest in meant]
    if len(found) == 1:
        return found[0]
    if found:
        raise UserError(
            f'version "{name}" of {data.label} may be any of: {_listing(found)}',
            fix="Give more digits of the one that is meant.",
        )
    known = _listing(versions)
    raise UserError(f'{data.label} has no version "{name}"', fix=f"Its versions: {known}")


def _current(data: DataSet) -> Version:
    if data.current is None:
        raise UserError(
            f"{data.label} has no current version: its .dvc file is not there",
            fix=f"Its versions: {_listing(data.versions)}",
        )
    return data.current


def _previous(data: DataSet) -> Version:
    older = data.versions[data.versions.index(_current(data)) + 1 :]
    if not older:
        raise UserError(
            f"{data.label} has no version that is older than the current one",
            fix=f"Its versions: {_listing(data.versions)}",
        )
    return older[0]


def _beginning(versions: Iterable[Version], name: str) -> set[str]:
    """Give the digests of the versions that a digest's or a run's first digits may mean."""
    start = name.removeprefix("md5:")
    if len(start) < _DIGITS:
        return set()
    return {
        each.digest
        for each in versions
        if any(known.startswith(start) for known in (each.md5, *each.runs))
    }


def _in_git(data: DataSet, name: str, project: Project) -> set[str]:
    """Give the digests that the data set's ``.dvc`` file has in a revision."""
    files = {each.pointer.file for each in data.versions if each.pointer}
    asked = [f"{name}:./{file}" for file in sorted(files)]
    if any("\n" in each for each in asked):
        return set()
    try:
        contents = read(project.root, asked) if project.git else []
    except GitFailed:
        return set()
    digests: set[str] = set()
    for file, content in zip(sorted(files), contents, strict=False):
        try:
            pointers = parse(file, content or b"")
        except ValueError:
            continue
        digests.update(each.digest for each in pointers if each.label == data.label)
    return digests


def _listing(versions: Iterable[Version]) -> str:
    shown = list(versions)
    texts = [" ".join((each.short, *each.tags[:1])) for each in shown[:5]]
    return ", ".join(texts) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")

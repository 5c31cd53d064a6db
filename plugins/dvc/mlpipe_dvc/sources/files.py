"""Files, folders and globs of the project, and outputs of earlier stages."""

from __future__ import annotations

import difflib
from pathlib import Path, PurePosixPath

from mlpipe import Stage
from mlpipe.errors import StageError
from mlpipe_dvc.sourceconfig import FileSource, FolderSource, GlobSource, InputSource
from mlpipe_dvc.sources.local import is_data, listing, local_files, unreadable
from mlpipe_dvc.values import LocalFiles


def open_file(source: FileSource, stage: Stage) -> LocalFiles:
    """Take a file of the project.

    Raises:
        StageError: It is not there, is a folder, or cannot be read.
    """
    path = stage.root / source.file
    if path.is_dir():
        raise StageError(
            "the source is a folder",
            where=source.file,
            fix=f"For all files in it, write {source.file.rstrip('/')}/ with its slash.",
        )
    _require(path, source.file, stage.root)
    return local_files([path], None, source.file, format=source.format, encoding=source.encoding)


def open_folder(source: FolderSource, stage: Stage) -> LocalFiles:
    """Take all files below a folder of the project.

    Raises:
        StageError: It is not there, is a file, holds none, or cannot be read.
    """
    path = stage.root / source.folder
    _require(path, source.folder, stage.root)
    if not path.is_dir():
        raise StageError("the source is a file, not a folder", where=source.folder)
    files = listing(path, source.folder)
    return local_files(files, path, source.folder, format=source.format, encoding=source.encoding)


def open_glob(source: GlobSource, stage: Stage) -> LocalFiles:
    """Take the files of the project that a pattern matches.

    Raises:
        StageError: It matches none, or one cannot be read.
    """
    try:
        matches = [path for path in stage.root.glob(source.glob) if path.is_file()]
    except ValueError as error:
        raise StageError(f"is no pattern: {error}", where=source.glob) from None
    except OSError as error:
        raise unreadable(error, source.glob) from error
    base = stage.root / _fixed(source.glob)
    files = [path for path in matches if all(map(is_data, path.relative_to(base).parts))]
    if not files:
        raise StageError(
            "no file matches",
            where=source.glob,
            fix="Patterns start at the project's folder; ** stands for any folders."
            + ("" if base.is_dir() else f" There is no folder {_fixed(source.glob)}."),
        )
    return local_files(files, base, source.glob, format=source.format, encoding=source.encoding)


def open_input(source: InputSource, stage: Stage) -> LocalFiles:
    """Take an output of an earlier stage, a file or a folder.

    Raises:
        StageError: The stage has no such input, or it is not on this machine.
    """
    if source.input not in stage.inputs:
        raise StageError(
            f'the stage has no input "{source.input}"',
            where="source",
            fix=f"Add inputs: {{{source.input}: STAGE.OUTPUT}}.",
        )
    given = stage.inputs[source.input]
    path, origin = given.path(), f"input {source.input} ({given.artifact.location})"
    files = listing(path, origin) if path.is_dir() else [path]
    base = path if path.is_dir() else None
    return local_files(files, base, origin, format=source.format, encoding=source.encoding)


def _require(path: Path, name: str, root: Path) -> None:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise StageError(
            "the source is not there",
            where=name,
            fix=f"Name a path from the project's folder.{_similar(path, root)}",
        ) from None
    except OSError as error:
        raise unreadable(error, name) from error


def _similar(path: Path, root: Path) -> str:
    try:
        names = [each.name for each in path.parent.iterdir()]
    except OSError:
        return ""
    close = difflib.get_close_matches(path.name, names, n=1)
    if not close or not path.is_relative_to(root):
        return ""
    return f" Did you mean {path.with_name(close[0]).relative_to(root).as_posix()}?"


def _fixed(pattern: str) -> str:
    """Give the folders at a pattern's beginning that it names in full."""
    parts = PurePosixPath(pattern).parts[:-1]
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    return PurePosixPath(*parts[:fixed]).as_posix()

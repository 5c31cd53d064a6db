"""Files on this machine as a source: which ones count, and how they are written."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from mlpipe.errors import StageError
from mlpipe_dvc.sourceconfig import SourceFormat
from mlpipe_dvc.values import Format, LocalFiles

_FORMATS: dict[str, Format] = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
_SAY = "Say how it is written with format: csv, parquet or jsonl (files, for what is no table)."


def local_files(
    paths: Iterable[Path],
    base: Path | None,
    origin: str,
    *,
    format: SourceFormat | None,  # noqa: A002 - the recipe's word
    encoding: str,
    guess: Format | None = None,
) -> LocalFiles:
    """Make a source of files.

    Args:
        paths: At least one.
        base: The folder that their names start from; ``None`` for a file by itself.
        origin: How users know the source.
        format: What the recipe says of their format.
        encoding: Of their text.
        guess: The format of a single file whose name does not tell it.

    Raises:
        StageError: One cannot be read, or their format cannot be told.
    """
    # Not resolved: a link has the name that users know.
    found = tuple(sorted(Path(os.path.abspath(path)) for path in paths))  # noqa: PTH100
    for path in found:
        _require_readable(path, origin)
    written = _format(found, base, origin, format, guess)
    return LocalFiles(
        paths=found,
        base=Path(os.path.abspath(base or found[0].parent)),  # noqa: PTH100
        origin=origin,
        format=written,
        encoding=encoding,
    )


def listing(folder: Path, origin: str) -> list[Path]:
    """List all files below a folder, except hidden ones and DVC's own.

    Raises:
        StageError: A folder cannot be read, or there is no file.
    """

    def refuse(error: OSError) -> None:
        raise unreadable(error, origin)

    found: list[Path] = []
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if is_data(name)]
        found.extend(Path(parent, name) for name in names if is_data(name))
    if not found:
        raise StageError(
            "the folder holds no file",
            where=origin,
            fix="Hidden files, and .dvc files, do not count.",
        )
    return found


def is_data(name: str) -> bool:
    """Tell whether a name in a folder is not hidden and not of DVC's own files."""
    last = PurePosixPath(name).name
    return not last.startswith(".") and not last.endswith(".dvc")


def format_of(name: str) -> Format | None:
    """Tell a format by how a file's name ends."""
    return _FORMATS.get(PurePosixPath(name).suffix.lower())


def unreadable(error: OSError, where: str) -> StageError:
    """Say that the system refuses to read something."""
    return StageError(f"cannot be read: {error.strerror or error}", where=where)


def unwritable(error: OSError, where: str) -> StageError:
    """Say that the system refuses to write what a source sends."""
    return StageError(f"cannot be written to this machine: {error.strerror or error}", where=where)


def _require_readable(path: Path, origin: str) -> None:
    if not os.access(path, os.R_OK, effective_ids=os.access in os.supports_effective_ids):
        what = "cannot be read: Permission denied" if path.exists() else "is a broken link"
        raise StageError(what, where=origin if path.name in origin else f"{origin} ({path.name})")


def _format(
    paths: tuple[Path, ...],
    base: Path | None,
    origin: str,
    said: SourceFormat | None,
    guess: Format | None,
) -> Format | None:
    if said is not None:
        return None if said == "files" else said
    formats = {format_of(path.name): path for path in reversed(paths)}
    if len(formats) > 1:
        raise _mixed(sorted(path.name for path in formats.values()), origin)
    (found,) = formats
    if found or guess:
        return found or guess
    if base is None:
        raise StageError("its name does not tell its format", where=origin, fix=_SAY)
    return None


def _mixed(examples: list[str], origin: str) -> StageError:
    return StageError(
        f"holds files of several formats, as {' and '.join(examples[:2])}",
        where=origin,
        fix="Take those of one format with a glob, as *.csv; or say format: files, for files that"
        " are taken as they are.",
    )

"""Descriptions of versions: from the ledger, or made now and noted there."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType

from mlpipe.errors import StageError
from mlpipe_dvc.commands.catalogue import Version
from mlpipe_dvc.commands.project import Project
from mlpipe_dvc.ledger import Entry
from mlpipe_dvc.values import Format

_FORMATS: Mapping[str, Format] = MappingProxyType(
    {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl"}
)


def format_of(version: Version) -> Format | None:
    """Tell how a version's table is written; ``None`` for what is no table."""
    return None if version.is_folder else _FORMATS.get(PurePosixPath(version.label).suffix)


def described(version: Version, project: Project) -> Version:
    """Give a version with its description, where it is a table.

    Raises:
        StageError: Its bytes are nowhere, or are no table.
    """
    form = format_of(version)
    if version.description is not None or form is None:
        return version
    from mlpipe_dvc.commands.contents import opened
    from mlpipe_dvc.quality.describing import describe

    with opened(project) as (_, contents):
        path = contents.file(version)
        try:
            description = describe(path, form)
        except StageError as error:  # people know the data set, not the object in DVC's cache
            raise StageError(error.what, where=version.label, fix=error.fix) from error
    entry = entry_of(version, path.stat().st_size)
    return replace(version, entry=_noted(replace(entry, description=description), project))


def entry_of(version: Version, size: int = 0) -> Entry:
    """Give what the ledger is told of a version that no run on this machine made.

    Args:
        version: The version.
        size: In bytes, for where no ``.dvc`` file says it.
    """
    if version.entry is not None:
        return version.entry
    return Entry(
        label=version.label,
        digest=version.digest,
        size=version.size or size,
        files=version.files or 1,
        created=version.created or 0.0,
        made=version.order[0],
    )


def _noted(entry: Entry, project: Project) -> Entry:
    try:
        return project.ledger.record(entry)
    except OSError as error:  # what was asked for is known all the same
        print(f"the description cannot be kept: {error}", file=sys.stderr)
        return entry

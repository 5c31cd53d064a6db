"""Reading the tables of a source: one table, however many files it lies in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.tables.arrow import batch_rows, conformed, to_arrow, to_frame, unified
from mlpipe_dvc.tables.csvfiles import CsvFile, infer
from mlpipe_dvc.tables.jsonlines import JsonLinesFile
from mlpipe_dvc.tables.parquetfiles import ParquetFile
from mlpipe_dvc.values import LocalFiles

if TYPE_CHECKING:
    from pandas import DataFrame
    from pyarrow import Table

# A batch of lines has about as many bytes as this, or fewer.
_BATCH_BYTES = 16_000_000
_SAMPLE = 1_000_000


def read_whole(files: LocalFiles, root: Path) -> DataFrame:
    """Read all rows into memory.

    Args:
        files: With a format.
        root: The project's folder.

    Raises:
        StageError: One is no table, or they have different columns.
    """
    if len(files.paths) > 1:
        from pandas import concat

        return concat(list(read_batches(files, root)), ignore_index=True)
    (path,) = files.paths
    name = _names(files, root)[path]
    if files.format == "parquet":
        return ParquetFile(path, name).read()
    kind = CsvFile if files.format == "csv" else JsonLinesFile
    return kind(path, name, files.encoding).read()


def read_batches(files: LocalFiles, root: Path) -> Iterator[DataFrame]:
    """Read some rows at a time, each column with one type in all batches.

    The files are read twice: the first time tells the types, as they are when the whole table
    is read at once.

    Args:
        files: With a format.
        root: The project's folder.

    Raises:
        StageError: One is no table, or they have different columns.
    """
    names = _names(files, root)
    if files.format == "csv":
        sheets = [CsvFile(path, names[path], files.encoding) for path in files.paths]
        return _csv(sheets)
    if files.format == "parquet":
        parquets = [ParquetFile(path, names[path]) for path in files.paths]
        _require_same({each.path: each.columns() for each in parquets}, names)
        return _typed(parquets, files.origin)
    lines = [JsonLinesFile(path, names[path], files.encoding) for path in files.paths]
    return _typed(lines, files.origin)


def _csv(sheets: Sequence[CsvFile]) -> Iterator[DataFrame]:
    columns = {sheet.path: sheet.columns() for sheet in sheets}
    _require_same(columns, {sheet.path: sheet.name for sheet in sheets})
    order = next(iter(columns.values()))
    types = infer(each for sheet in sheets for each in sheet.batches(_rows(sheet.path)))
    for sheet in sheets:
        for batch in sheet.batches(_rows(sheet.path), types):
            yield batch[order]


def _typed(files: Sequence[ParquetFile | JsonLinesFile], origin: str) -> Iterator[DataFrame]:
    schema = unified((each.schema for each in _arrow(files)), origin)
    for batch in _arrow(files):
        yield to_frame(conformed(batch, schema, origin))


def _arrow(files: Sequence[ParquetFile | JsonLinesFile]) -> Iterator[Table]:
    for file in files:
        if isinstance(file, ParquetFile):
            yield from file.batches()
        else:
            for frame in file.batches(_rows(file.path)):
                yield to_arrow(frame, file.name)


def _rows(path: Path) -> int:
    """Say how many lines of a text file make a batch, by those at its beginning."""
    with path.open("rb") as stream:
        sample = stream.read(_SAMPLE)
    line = len(sample) / max(1, sample.count(b"\n"))
    return min(batch_rows(1), max(1, int(_BATCH_BYTES / max(line, 1))))


def _names(files: LocalFiles, root: Path) -> dict[Path, str]:
    """Say how users know each file."""
    if len(files.paths) == 1:
        return {files.paths[0]: files.origin}
    return {path: _name(path, files, root.resolve()) for path in files.paths}


def _name(path: Path, files: LocalFiles, root: Path) -> str:
    relative = path.relative_to(files.base).as_posix()
    hidden = ".mlpipe" in path.parts
    if path.is_relative_to(root) and not hidden:
        return path.relative_to(root).as_posix()
    return f"{files.origin.rstrip('/')}/{relative}"


def _require_same(columns: dict[Path, list[str]], names: dict[Path, str]) -> None:
    first = next(iter(columns))
    for path, found in columns.items():
        if set(found) != set(columns[first]):
            lacks = [each for each in columns[first] if each not in found]
            more = [each for each in found if each not in columns[first]]
            parts = [f"lacks {_listed(lacks)}"] if lacks else []
            parts += [f"also has {_listed(more)}"] if more else []
            raise StageError(
                f"has other columns than {names[first]}: it {' and '.join(parts)}",
                where=names[path],
                fix="Files of one table have the same columns.",
            )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:5])
    return f"{shown} and {len(names) - 5:,} more" if len(names) > 5 else shown

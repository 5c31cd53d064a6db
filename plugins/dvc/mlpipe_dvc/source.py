"""Reading a source into a DataFrame; what cannot be read is refused with its line."""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError
from mlpipe_dvc.config import FileSource, FunctionSource
from mlpipe_dvc.functions import call
from mlpipe_dvc.tables import require_table

if TYPE_CHECKING:
    from pandas import DataFrame


def read(source: FileSource | FunctionSource, root: Path) -> DataFrame:
    """Read all rows.

    Args:
        source: Where they come from.
        root: The project's folder.

    Raises:
        StageError: There is nothing there, or it is no table.
    """
    if isinstance(source, FunctionSource):
        return require_table(call(source.function, root), source.function)
    return require_table(_read_csv(source, root), source.file)


def _read_csv(source: FileSource, root: Path) -> object:
    import pandas

    path = root / source.file
    if not path.is_file():
        there = "is a folder" if path.is_dir() else "is not there"
        raise StageError(
            f"the source {there}",
            where=source.file,
            fix="Name a CSV file, with its path from the project's folder.",
        )
    # utf-8-sig is UTF-8 with or without the mark that spreadsheets put in front.
    encoding = "utf-8-sig" if codecs.lookup(source.encoding).name == "utf-8" else source.encoding
    try:
        _inspect(path, encoding, source.file)
        # low_memory would guess the type of a column anew for each chunk of rows.
        return pandas.read_csv(path, encoding=encoding, index_col=False, low_memory=False)
    except UnicodeError:
        raise _undecodable(path, source) from None
    except (csv.Error, ValueError, OSError) as error:
        raise StageError(f"is not a table: {error}", where=source.file) from error


def _inspect(path: Path, encoding: str, name: str) -> None:
    """Refuse what pandas would read as something else: short rows, nameless columns."""
    with path.open(encoding=encoding, newline="") as stream:
        rows = _rows(stream)
        _, header = next(rows, (0, []))
        if not header:
            raise StageError("is empty", where=name, fix="Its first row names the columns.")
        _require_distinct(header, f"{name}:1")
        ragged = [(line, len(row)) for line, row in rows if len(row) != len(header)]
    if ragged:
        line, width = ragged[0]
        more = f"; so have {len(ragged) - 1:,} further rows" if len(ragged) > 1 else ""
        raise StageError(
            f"has {width} fields, the first row has {len(header)}{more}",
            where=f"{name}:{line}",
            fix="Quote fields that hold a comma, or repair the row.",
        )


def _require_distinct(header: list[str], where: str) -> None:
    repeated = {column for column in header if header.count(column) > 1}
    if "" in header or repeated:
        what = "has a column without a name" if "" in header else f'names "{min(repeated)}" twice'
        raise StageError(what, where=where, fix="Give every column a name of its own.")


def _rows(stream: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the line that each row begins on, and the row, leaving out blank lines."""
    csv.field_size_limit(sys.maxsize)  # a long text is no error
    reader = csv.reader(stream)
    begins = 1
    for row in reader:
        if row:
            yield begins, row
        begins = reader.line_num + 1


def _undecodable(path: Path, source: FileSource) -> StageError:
    return StageError(
        f"is not {source.encoding}",
        where=f"{source.file}:{_first_undecodable(path, source.encoding)}",
        fix="Convert it to UTF-8, or say what it is:"
        f" source: {{file: {source.file}, encoding: latin-1}}.",
    )


def _first_undecodable(path: Path, encoding: str) -> int:
    with path.open("rb") as stream:
        numbered = enumerate(stream, 1)
        return next((line for line, raw in numbered if not _decodes(raw, encoding)), 1)


def _decodes(raw: bytes, encoding: str) -> bool:
    try:
        raw.decode(encoding)
    except UnicodeError:
        return False
    return True

"""CSV: what pandas would read as something else is refused with its line."""

from __future__ import annotations

import codecs
import csv
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe.errors import StageError

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A CSV file, its first row the names of its columns.

    Attributes:
        path: Where it is.
        name: How users know it.
        encoding: As Python names it.
    """

    path: Path
    name: str
    encoding: str

    def columns(self) -> list[str]:
        """Give its columns.

        Raises:
            StageError: It is no table, or rows have more or fewer fields than the first.
        """
        with self._refusals():
            return self._inspect()

    def read(self) -> DataFrame:
        """Read all rows.

        Raises:
            StageError: It is no table.
        """
        import pandas

        with self._refusals():
            self._inspect()
            # low_memory would guess the type of a column anew for each chunk of rows.
            return pandas.read_csv(
                self.path, encoding=self._codec, index_col=False, low_memory=False
            )

    def batches(self, rows: int, types: Mapping[str, str] | None = None) -> Iterator[DataFrame]:
        """Read some rows at a time; ``columns()`` must have accepted the file.

        Args:
            rows: At most so many.
            types: Of columns, by name; told by each batch's own values when left out.
        """
        import pandas

        with (
            self._refusals(),
            pandas.read_csv(
                self.path,
                encoding=self._codec,
                index_col=False,
                low_memory=False,
                chunksize=rows,
                dtype=dict(types) if types else None,
            ) as batches,
        ):
            yield from batches

    @property
    def _codec(self) -> str:
        # utf-8-sig is UTF-8 with or without the mark that spreadsheets put in front.
        return "utf-8-sig" if codecs.lookup(self.encoding).name == "utf-8" else self.encoding

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except UnicodeError:
            raise undecodable(self.path, self.name, self.encoding) from None
        except (csv.Error, ValueError, OSError) as error:
            raise StageError(f"is not a table: {error}", where=self.name) from error

    def _inspect(self) -> list[str]:
        with self.path.open(encoding=self._codec, newline="") as stream:
            rows = _rows(stream)
            _, header = next(rows, (0, []))
            if not header:
                raise StageError(
                    "is empty", where=self.name, fix="Its first row names the columns."
                )
            _require_distinct(header, f"{self.name}:1")
            self._require_even(rows, len(header))
        return header

    def _require_even(self, rows: Iterator[tuple[int, list[str]]], width: int) -> None:
        first, count = (0, 0), 0
        for line, row in rows:
            if len(row) != width:
                first = first if count else (line, len(row))
                count += 1
        if count:
            rest = "one further row" if count == 2 else f"{count - 1:,} further rows"
            more = f"; so have {rest}" if count > 1 else ""
            raise StageError(
                f"has {first[1]} fields, the first row has {width}{more}",
                where=f"{self.name}:{first[0]}",
                fix="Quote fields that hold a comma, or repair the row.",
            )


def infer(batches: Iterable[DataFrame]) -> dict[str, str]:
    """Tell the types that columns have when all batches are read as one table.

    Args:
        batches: Read without types, so that each shows what its own values look like.

    Returns:
        pandas' names of types, by column.
    """
    kinds: dict[str, set[str]] = {}
    missing: set[str] = set()
    for batch in batches:
        for name, column in batch.items():
            known = kinds.setdefault(str(name), set())
            gaps = column.isna()
            if gaps.any():
                missing.add(str(name))
            if not gaps.all():
                # Truth values with gaps among them are what pandas reads as objects.
                known.add("b" if column.dtype == object else column.dtype.kind)
    return {name: _common(found, name in missing) for name, found in kinds.items()}


def _common(kinds: set[str], missing: bool) -> str:
    if kinds == {"b"}:
        return "boolean" if missing else "bool"
    if kinds <= {"i", "f"}:
        return "int64" if kinds == {"i"} and not missing else "float64"
    return "uint64" if kinds == {"u"} and not missing else "str"


def undecodable(path: Path, name: str, encoding: str) -> StageError:
    """Say which line of a file is not in its encoding."""
    return StageError(
        f"is not {encoding}",
        where=f"{name}:{_first_undecodable(path, encoding)}",
        fix=f"Convert it to UTF-8, or say what it is: source: {{file: {name}, encoding: latin-1}}.",
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

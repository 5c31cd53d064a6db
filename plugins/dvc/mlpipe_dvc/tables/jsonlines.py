"""JSON lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError
from mlpipe_dvc.tables.csvfiles import undecodable

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class JsonLinesFile:
    """A file with a JSON object a line; a key that a line lacks is missing in its row.

    Attributes:
        path: Where it is.
        name: How users know it.
        encoding: As Python names it.
    """

    path: Path
    name: str
    encoding: str

    def read(self) -> DataFrame:
        """Read all rows.

        Raises:
            StageError: A line is no JSON object.
        """
        from pandas import DataFrame

        records = list(self._records())
        if not records:
            raise StageError("is empty", where=self.name, fix="Each line is one JSON object.")
        return DataFrame(
            records, columns=list(dict.fromkeys(key for each in records for key in each))
        )

    def batches(self, rows: int) -> Iterator[DataFrame]:
        """Read some rows at a time.

        Args:
            rows: At most so many.

        Raises:
            StageError: A line is no JSON object.
        """
        from pandas import DataFrame

        records = self._records()
        while batch := list(islice(records, rows)):
            yield DataFrame(batch)

    def _records(self) -> Iterator[dict[str, Any]]:
        try:
            with self.path.open(encoding=self.encoding, newline="\n") as stream:
                for number, line in enumerate(stream, 1):
                    if not line.isspace():
                        yield self._parse(line.removeprefix("\ufeff").rstrip(), number)
        except UnicodeError:
            raise undecodable(self.path, self.name, self.encoding) from None
        except OSError as error:
            raise StageError(f"cannot be read: {error.strerror}", where=self.name) from error

    def _parse(self, line: str, number: int) -> dict[str, Any]:
        where = f"{self.name}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            said = getattr(error, "msg", str(error))
            column = f", column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            raise StageError(
                f"is not JSON: {said}{column}", where=where, fix="Repair the line, or take it out."
            ) from None
        if not isinstance(record, dict):
            raise StageError(
                f"holds {type(record).__name__}, not an object",
                where=where,
                fix='Write each row as {"column": value, …} on a line of its own.',
            )
        return record

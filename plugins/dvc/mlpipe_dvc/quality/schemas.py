"""Schemas of pandera: all failures of all rows, whether a table comes whole or in batches."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError
from mlpipe_dvc.quality.asked import Name, name_of_error, name_of_key, names, taken_apart
from mlpipe_dvc.quality.outcomes import EXAMPLES, Example, Outcome, Tally, shortened, shown
from mlpipe_dvc.quality.uniqueness import Duplicates

if TYPE_CHECKING:
    from pandas import DataFrame
    from pandera.errors import SchemaError
    from pandera.pandas import DataFrameSchema


class SchemaCheck:
    """Holds a table against a schema. The data is not changed: coercion is of a copy.

    Pandera's own checks, and those that look at each row by itself, mean the same for a table
    and for its batches. So does ``unique``, which is looked for in all batches together. A check
    that looks at several rows at once, as at their mean, is asked of each batch by itself.

    Args:
        schema: What is asked.
        label: How users know it.
    """

    def __init__(self, schema: DataFrameSchema, label: str) -> None:
        self.label = label
        self._schema, self._uniqueness = taken_apart(schema)
        self._duplicates: Duplicates | None = None
        self._tallies = {name: Tally() for name in names(self._schema)}
        self._rows = 0

    def add(self, batch: DataFrame, where: str) -> None:
        """Look at a batch.

        Args:
            batch: Its index counts the table's rows from 0.
            where: Which rows it holds, in words.
        """
        seen = self._validated(batch, where)
        if self._duplicates is None:
            keys = list(self._uniqueness.keys(self._schema, seen))
            self._tallies.update((name_of_key(key), Tally()) for key in keys)
            self._duplicates = Duplicates(keys)
        self._duplicates.add(seen, self._rows + 1)
        self._rows += len(batch)

    def _validated(self, batch: DataFrame, where: str) -> DataFrame:
        from pandera.errors import SchemaErrors

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                seen: Any = self._schema.validate(batch, lazy=True)
            except SchemaErrors as errors:
                seen = errors.data
                self._record(errors.schema_errors, where)
            except Exception as error:  # a parser, or a schema at odds with itself, of any type
                what = f"could not be held against the data: {type(error).__name__}: {error}"
                raise StageError(what, where=self.label) from error
        for text in dict.fromkeys(shortened(str(each.message)) for each in caught):
            print(f"{self.label}: {text}")
        return batch if seen is None else seen

    def _record(self, errors: list[SchemaError], where: str) -> None:
        recorded: set[Name] = set()
        for error in errors:
            name = name_of_error(error)
            if name not in recorded:  # what cannot be coerced is reported as of a wrong type, too
                recorded.add(name)
                about_rows = not isinstance(error.check, str)
                self._tallies.setdefault(name, Tally()).fail(
                    *_failing(error), where if about_rows else ""
                )

    def outcomes(self, batches: int) -> list[Outcome]:
        """Give what was found, of checks that hold, too. To be called once, at the end.

        Args:
            batches: How many there were; of one, nobody wants to know where it was.
        """
        if self._duplicates is not None:
            with self._duplicates as duplicates:
                for key, rows, examples in duplicates.found():
                    self._tallies[name_of_key(key)].fail(rows, examples)
        return [self._outcome(name, tally, batches) for name, tally in self._tallies.items()]

    def _outcome(self, name: Name, tally: Tally, batches: int) -> Outcome:
        return Outcome(
            source=self.label,
            column=name.column,
            check=name.check,
            passed=not tally.failed,
            total=self._rows,
            rows=tally.rows,
            examples=tuple(tally.examples),
            note=tally.note(batches),
        )


def _failing(error: SchemaError) -> tuple[int | None, list[Example], str]:
    """Give the number of rows, the first of them, and what else there is to say."""
    cases = error.failure_cases
    if hasattr(cases, "columns") and "index" in cases and cases["index"].notna().any():
        rows = cases["index"].drop_duplicates()
        first = [_example(cases, row) for row in rows.iloc[:EXAMPLES]]
        return len(rows), first, ""
    if isinstance(error.check, str) and error.check.startswith("column"):
        return None, [], ""
    if hasattr(cases, "columns"):
        cases = cases["failure_case"].iloc[0] if len(cases) else None
    said = "" if cases is None or isinstance(cases, bool) or cases != cases else shown(cases)
    return None, [], f"is {said}" if isinstance(error.check, str) and said else said


def _example(cases: Any, row: Any) -> Example:
    failing = cases[cases["index"] == row]
    number = int(row) + 1 if isinstance(row, (int, float)) else None
    if "column" not in failing or len(failing) == 1:
        return Example(number, shown(failing["failure_case"].iloc[0]))
    pairs = zip(failing["column"], failing["failure_case"], strict=True)
    return Example(number, shortened(", ".join(f"{name} {shown(value)}" for name, value in pairs)))

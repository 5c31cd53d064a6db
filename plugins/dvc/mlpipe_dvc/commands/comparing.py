"""What differs between two versions of a data set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from mlpipe.types import Json
from mlpipe_dvc.values import Column, Description

#: A mean has moved notably by this many standard deviations: Cohen's "small effect".
MEAN = 0.2
#: The share of empty values has, by one in a hundred rows.
MISSING = 0.01
#: A minimum or maximum has, this far outside the former range, as a share of it.
RANGE = 0.1
#: A number of distinct values has, by this share of it, beyond what the number of rows explains.
DISTINCT = 0.2
#: A value that comes this often is a category, of which more rows have no more.
_REPEATS = 5

Statistic = Literal["missing", "distinct", "min", "max", "mean"]


@dataclass(frozen=True, slots=True)
class Change:
    """A statistic of a column that differs.

    Attributes:
        column: The column's name.
        statistic: Which one; ``missing`` is a share of the rows.
        before: Its value in the first version.
        after: Its value in the second.
        notable: Whether it differs more than new rows of the same kind would explain.
    """

    column: str
    statistic: Statistic
    before: Json
    after: Json
    notable: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """How the columns of two tables differ.

    Attributes:
        added: Columns of the second table only.
        removed: Columns of the first table only.
        retyped: Columns of other values: before, after.
        changes: Statistics that differ, of columns of the same values.
    """

    added: tuple[Column, ...]
    removed: tuple[Column, ...]
    retyped: tuple[tuple[Column, Column], ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Files:
    """How the files of two folders differ, by relative path.

    Attributes:
        added: In the second folder only.
        removed: In the first folder only.
        changed: In both, with other bytes.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


def compare_columns(before: Description, after: Description) -> Columns:
    """Compare two tables, column by column."""
    old = {column.name: column for column in before.columns}
    new = {column.name: column for column in after.columns}
    both = [(old[name], new[name]) for name in new if name in old]
    rows = (before.rows, after.rows)
    return Columns(
        added=tuple(column for name, column in new.items() if name not in old),
        removed=tuple(column for name, column in old.items() if name not in new),
        retyped=tuple((a, b) for a, b in both if a.kind != b.kind),
        changes=tuple(
            change for a, b in both if a.kind == b.kind for change in _changes(a, b, rows)
        ),
    )


def compare_files(before: Mapping[str, str], after: Mapping[str, str]) -> Files:
    """Compare two folders, given as digest by relative path."""
    return Files(
        added=tuple(sorted(after.keys() - before.keys())),
        removed=tuple(sorted(before.keys() - after.keys())),
        changed=tuple(sorted(n for n in before.keys() & after.keys() if before[n] != after[n])),
    )


def _changes(old: Column, new: Column, rows: tuple[int, int]) -> Iterator[Change]:
    shares = (old.missing / max(rows[0], 1), new.missing / max(rows[1], 1))
    pairs: tuple[tuple[Statistic, Json, Json, bool], ...] = (
        ("missing", *shares, abs(shares[1] - shares[0]) >= MISSING),
        ("distinct", old.distinct, new.distinct, _is_other_variety(old, new, rows)),
        ("min", old.minimum, new.minimum, _is_outside(old, new.minimum)),
        ("max", old.maximum, new.maximum, _is_outside(old, new.maximum)),
        ("mean", old.mean, new.mean, _is_shifted(old, new)),
    )
    for statistic, before, after, notable in pairs:
        if before != after:
            yield Change(old.name, statistic, before, after, notable)


def _is_other_variety(old: Column, new: Column, rows: tuple[int, int]) -> bool:
    """Twice the rows may have twice the values, unless each came several times already."""
    growth = new.distinct / max(old.distinct, 1)
    repeats = old.distinct * _REPEATS <= rows[0]
    explained = sorted((1.0, 1.0 if repeats else rows[1] / max(rows[0], 1)))
    return not explained[0] * (1 - DISTINCT) <= growth <= explained[1] * (1 + DISTINCT)


def _is_outside(old: Column, value: Json) -> bool:
    low, high = old.minimum, old.maximum
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return False
    if not isinstance(value, int | float):
        return False
    slack = (high - low) * RANGE
    return not low - slack <= value <= high + slack


def _is_shifted(old: Column, new: Column) -> bool:
    if old.mean is None or new.mean is None:
        return old.mean != new.mean
    return abs(new.mean - old.mean) > MEAN * (old.deviation or 0.0)

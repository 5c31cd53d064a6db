"""What every way of dividing rows shares: whole counts, and what cannot be divided."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError
from mlpipe_dvc.config import SplitConfig

if TYPE_CHECKING:
    from pandas import Series


def apportion(total: int, fractions: Sequence[float]) -> list[int]:
    """Divide a number into whole parts that sum to it, by largest remainder.

    Args:
        total: What is divided.
        fractions: They sum to 1.
    """
    exact = [total * fraction for fraction in fractions]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: counts[i] - exact[i])
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    return counts


def apportion_each(sizes: Sequence[int], fractions: Sequence[float]) -> list[list[int]]:
    """Divide several numbers so that each is divided evenly, and so is their sum.

    Args:
        sizes: The numbers.
        fractions: They sum to 1.

    Returns:
        The parts of each number, within 1 of its exact shares. Together they sum to what
        ``apportion`` gives for the sum.
    """
    cells = [[int(size * part) for part in fractions] for size in sizes]
    totals = apportion(sum(sizes), fractions)
    lacking = [
        total - sum(parts) for total, parts in zip(totals, zip(*cells, strict=True), strict=True)
    ]
    left = [size - sum(row) for size, row in zip(sizes, cells, strict=True)]
    # Those with most left over choose first: then the sums come out even, too.
    for index in sorted(range(len(left)), key=lambda each: -left[each]):
        wanting = sorted(range(len(lacking)), key=lambda part: -lacking[part])
        for part in wanting[: left[index]]:
            cells[index][part] += 1
            lacking[part] -= 1
    return cells


def find(columns: Sequence[str], config: SplitConfig) -> str:
    """Give the name of the column that a split goes by.

    Raises:
        StageError: There is none of that name.
    """
    from difflib import get_close_matches

    by = str(config.by)
    if by not in columns:
        near = get_close_matches(by, columns, n=1)
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        shown = ", ".join(columns[:20]) + (", …" if len(columns) > 20 else "")
        raise refusal(config, f'there is no column "{by}"', f"{hint}Columns: {shown}.")
    return by


def times_of(column: Series[Any], config: SplitConfig) -> Series[Any]:
    """Give numbers or times that rows can be sorted by.

    Raises:
        StageError: There are none.
    """
    import pandas

    if pandas.api.types.is_numeric_dtype(column):
        return column
    try:
        with warnings.catch_warnings():
            # Where no format is found, pandas tries each value by itself, and says so.
            warnings.simplefilter("ignore", UserWarning)
            return pandas.to_datetime(column, utc=True)
    except (ValueError, TypeError) as error:
        raise refusal(config, f'column "{config.by}" holds no times: {error}') from None


def require_no_gaps(gaps: int, rows: int, config: SplitConfig) -> None:
    """Refuse a column to go by that is empty in some rows."""
    if gaps:
        raise refusal(
            config,
            f'column "{config.by}" is empty in {gaps:,} of {rows:,} rows',
            "Fill or drop these rows in a step.",
        )


def require_none_empty(counts: Sequence[int], config: SplitConfig, units: str) -> None:
    """Refuse parts of which one gets nothing.

    Args:
        counts: What each part gets.
        config: How it is divided.
        units: What is counted, as ``rows``.
    """
    empty = [name for name, count in zip(config.fractions, counts, strict=True) if not count]
    if empty:
        raise refusal(config, f'{sum(counts):,} {units} leave none for "{empty[0]}"')


def too_few_of_rarest(
    config: SplitConfig, values: int, rarest: tuple[str, int], rows: int
) -> StageError:
    """Say that a value is too rare to be in every part."""
    return refusal(
        config,
        f'column "{config.by}" has {values:,} values; the rarest, "{rarest[0]}", is in'
        f" {rarest[1]:,} of {rows:,} rows, too few for every part to have its share",
        "Merge or drop rare values in a step, or take method: random.",
    )


def too_few_groups(config: SplitConfig, groups: int) -> StageError:
    """Say that there are fewer values than would give every part one."""
    return refusal(config, f'the {groups:,} values of "{config.by}" are too few for every part')


def refusal(config: SplitConfig, what: str, fix: str | None = None) -> StageError:
    """Say why nothing can be divided so."""
    return StageError(what, where=f"split, method {config.method}", fix=fix)

"""Dividing rows. The same rows, fractions and seed give the same parts.

``numpy.random.RandomState`` is used, not a ``Generator``: its stream is frozen, so that a
new release of NumPy does not divide the same data anew. Within a part, rows keep the order
they came in, but for ``time``, which sorts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError
from mlpipe_dvc.config import SplitConfig

if TYPE_CHECKING:
    from numpy import ndarray
    from pandas import DataFrame, Series

    Positions = ndarray[Any, Any]


def split(frame: DataFrame, config: SplitConfig) -> dict[str, DataFrame]:
    """Divide a table by rows.

    Args:
        frame: At least one row.
        config: How.

    Returns:
        The parts by name: disjoint, none empty, together all rows.

    Raises:
        StageError: The rows cannot be divided so.
    """
    parts = _METHODS[config.method](frame, config)
    named = dict(zip(config.fractions, parts, strict=True))
    if empty := [name for name, rows in named.items() if not len(rows)]:
        raise _refusal(config, f'{len(frame):,} rows leave none for "{empty[0]}"')
    return {name: frame.iloc[rows] for name, rows in named.items()}


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


def _random(frame: DataFrame, config: SplitConfig) -> list[Positions]:
    import numpy

    order = numpy.random.RandomState(config.seed).permutation(len(frame))
    return [numpy.sort(part) for part in _cut(order, config)]


def _time(frame: DataFrame, config: SplitConfig) -> list[Positions]:
    import pandas

    times = _column(frame, config)
    if not pandas.api.types.is_numeric_dtype(times):
        try:
            times = pandas.to_datetime(times, utc=True)
        except (ValueError, TypeError) as error:
            raise _refusal(config, f'column "{config.by}" holds no times: {error}') from None
    return _cut(times.argsort(kind="stable").to_numpy(), config)


def _cut(order: Positions, config: SplitConfig) -> list[Positions]:
    counts = apportion(len(order), list(config.fractions.values()))
    return [order[start:stop] for start, stop in pairwise(accumulate(counts, initial=0))]


def _stratified(frame: DataFrame, config: SplitConfig) -> list[Positions]:
    import numpy
    from sklearn.model_selection import train_test_split

    column = _column(frame, config)
    codes, _ = column.factorize()
    counts = apportion(len(frame), list(config.fractions.values()))
    parts, rest = [], numpy.arange(len(frame))
    try:
        for count in counts[:-1]:
            part, rest = train_test_split(
                rest, train_size=count, stratify=codes[rest], random_state=config.seed
            )
            parts.append(numpy.sort(part))
    except ValueError:
        raise _too_few(column, config) from None
    parts.append(numpy.sort(rest))
    if any(len(numpy.unique(codes[part])) < column.nunique() for part in parts):
        raise _too_few(column, config)
    return parts


def _too_few(column: Series[Any], config: SplitConfig) -> StageError:
    counts = column.value_counts()
    return _refusal(
        config,
        f'column "{config.by}" has {len(counts):,} values; the rarest, "{counts.index[-1]}", is in'
        f" {counts.iloc[-1]:,} of {len(column):,} rows, too few for every part to have its share",
        "Merge or drop rare values in a step, or take method: random.",
    )


def _group(frame: DataFrame, config: SplitConfig) -> list[Positions]:
    import numpy
    from sklearn.model_selection import GroupShuffleSplit

    codes, groups = _column(frame, config).factorize()
    counts = apportion(len(groups), list(config.fractions.values()))
    if 0 in counts:
        raise _refusal(
            config, f'the {len(groups):,} values of "{config.by}" are too few for every part'
        )
    parts, rest = [], numpy.arange(len(frame))
    for count in counts[:-1]:
        shuffle = GroupShuffleSplit(n_splits=1, train_size=count, random_state=config.seed)
        taken, left = next(shuffle.split(rest, groups=codes[rest]))
        parts.append(rest[taken])
        rest = rest[left]
    return [*parts, rest]


def _column(frame: DataFrame, config: SplitConfig) -> Series[Any]:
    """Give the column that a split goes by, without gaps."""
    from difflib import get_close_matches

    names = [str(name) for name in frame.columns]
    if config.by not in names:
        near = get_close_matches(str(config.by), names, n=1)
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
        raise _refusal(config, f'there is no column "{config.by}"', f"{hint}Columns: {shown}.")
    column: Series[Any] = frame.iloc[:, names.index(config.by)]
    if gaps := int(column.isna().sum()):
        raise _refusal(
            config,
            f'column "{config.by}" is empty in {gaps:,} of {len(frame):,} rows',
            "Fill or drop these rows in a step.",
        )
    return column


def _refusal(config: SplitConfig, what: str, fix: str | None = None) -> StageError:
    return StageError(what, where=f"split, method {config.method}", fix=fix)


_METHODS: Mapping[str, Callable[[DataFrame, SplitConfig], list[Positions]]] = MappingProxyType(
    {"random": _random, "stratified": _stratified, "group": _group, "time": _time}
)

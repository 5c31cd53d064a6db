"""Dividing rows in memory. The same rows, fractions and seed give the same parts.

``numpy.random.RandomState`` is used, not a ``Generator``: its stream is frozen, so that a
new release of NumPy does not divide the same data anew. Within a part, rows keep the order
they came in, but for ``time``, which sorts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mlpipe.errors import StageError
from mlpipe_dvc.config import SplitConfig
from mlpipe_dvc.tables.shares import (
    apportion,
    find,
    require_no_gaps,
    require_none_empty,
    times_of,
    too_few_groups,
    too_few_of_rarest,
)

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
    require_none_empty([len(rows) for rows in parts], config, "rows")
    return {name: frame.iloc[rows] for name, rows in zip(config.fractions, parts, strict=True)}


def _random(frame: DataFrame, config: SplitConfig) -> list[Positions]:
    import numpy

    order = numpy.random.RandomState(config.seed).permutation(len(frame))
    return [numpy.sort(part) for part in _cut(order, config)]


def _time(frame: DataFrame, config: SplitConfig) -> list[Positions]:
    times = times_of(_column(frame, config), config)
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
    rarest = (str(counts.index[-1]), int(counts.iloc[-1]))
    return too_few_of_rarest(config, len(counts), rarest, len(column))


def _group(frame: DataFrame, config: SplitConfig) -> list[Positions]:
    import numpy
    from sklearn.model_selection import GroupShuffleSplit

    codes, groups = _column(frame, config).factorize()
    counts = apportion(len(groups), list(config.fractions.values()))
    if 0 in counts:
        raise too_few_groups(config, len(groups))
    parts, rest = [], numpy.arange(len(frame))
    for count in counts[:-1]:
        shuffle = GroupShuffleSplit(n_splits=1, train_size=count, random_state=config.seed)
        taken, left = next(shuffle.split(rest, groups=codes[rest]))
        parts.append(rest[taken])
        rest = rest[left]
    return [*parts, rest]


def _column(frame: DataFrame, config: SplitConfig) -> Series[Any]:
    """Give the column that a split goes by, without gaps."""
    names = [str(name) for name in frame.columns]
    column: Series[Any] = frame.iloc[:, names.index(find(names, config))]
    require_no_gaps(int(column.isna().sum()), len(frame), config)
    return column


_METHODS: Mapping[str, Callable[[DataFrame, SplitConfig], list[Positions]]] = MappingProxyType(
    {"random": _random, "stratified": _stratified, "group": _group, "time": _time}
)

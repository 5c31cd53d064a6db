"""Parts are disjoint, complete, reproducible, and as the method promises."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pandas
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpipe.errors import StageError
from mlpipe_dvc.config import SplitConfig
from mlpipe_dvc.tables.shares import apportion
from mlpipe_dvc.tables.split import split

THIRDS = {"train": 0.6, "validation": 0.2, "test": 0.2}


def config(**values: Any) -> SplitConfig:
    return SplitConfig.model_validate({**THIRDS, **values})


def frame(rows: int, labels: int = 2) -> pandas.DataFrame:
    return pandas.DataFrame(
        {
            "id": range(rows),
            "label": [n * n % labels for n in range(rows)],
            "when": [f"2024-{1 + n * 7 % 12:02}-{1 + n * 5 % 28:02}" for n in range(rows)],
        }
    )


def ids(parts: dict[str, pandas.DataFrame]) -> dict[str, list[int]]:
    return {name: part["id"].tolist() for name, part in parts.items()}


@st.composite
def fractions(draw: st.DrawFn) -> dict[str, float]:
    weights = draw(st.lists(st.integers(1, 20), min_size=2, max_size=5))
    return {f"part{n}": weight / sum(weights) for n, weight in enumerate(weights)}


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(40, 300),
    seed=st.integers(0, 2**32 - 1),
    parts=fractions(),
    method=st.sampled_from(["random", "stratified", "group", "time"]),
)
def test_parts_are_disjoint_complete_and_reproducible(
    rows: int, seed: int, parts: dict[str, float], method: str
) -> None:
    table = frame(rows, labels=2 if method == "stratified" else 7)
    by = {"random": None, "stratified": "label", "group": "label", "time": "when"}[method]
    how = SplitConfig.model_validate({**parts, "method": method, "by": by, "seed": seed})
    try:
        first = ids(split(table, how))
    except StageError as error:
        refusal = error.what
    else:
        refusal = ""
    if refusal:
        assert "too few" in refusal or "leave none" in refusal
        return
    assert list(first) == list(parts)
    assert sorted(n for part in first.values() for n in part) == list(range(rows))
    assert all(first.values())
    assert ids(split(table, how)) == first


@given(total=st.integers(0, 10**6), parts=fractions())
def test_apportioned_counts_sum_up_and_are_within_one(total: int, parts: dict[str, float]) -> None:
    counts = apportion(total, list(parts.values()))
    assert sum(counts) == total
    assert all(
        abs(count - total * share) < 1 for count, share in zip(counts, parts.values(), strict=True)
    )


def test_random_depends_on_the_seed_and_keeps_the_order() -> None:
    one, two = (ids(split(frame(100), config(seed=seed))) for seed in (1, 2))
    assert one != two
    assert {name: len(part) for name, part in one.items()} == {
        "train": 60,
        "validation": 20,
        "test": 20,
    }
    assert all(part == sorted(part) for part in one.values())


def test_the_division_itself_does_not_change_between_releases() -> None:
    assert ids(split(frame(10), config(seed=7))) == {
        "train": [0, 1, 2, 5, 8, 9],
        "validation": [3, 7],
        "test": [4, 6],
    }


def test_stratified_gives_each_part_the_same_shares() -> None:
    table = frame(1000).assign(label=[int(n % 10 == 0) for n in range(1000)])
    parts = split(table, config(method="stratified", by="label"))
    assert {name: part["label"].mean() for name, part in parts.items()} == pytest.approx(
        dict.fromkeys(THIRDS, 0.1)
    )


def test_group_keeps_each_value_in_one_part() -> None:
    parts = split(frame(200, labels=23), config(method="group", by="label"))
    values = [set(part["label"]) for part in parts.values()]
    assert sum(map(len, values)) == len(set.union(*values))


@pytest.mark.parametrize("convert", [str, pandas.Timestamp, lambda text: int(text[5:7])])
def test_time_puts_the_earliest_rows_first(convert: Callable[[str], Any]) -> None:
    table = frame(100).assign(when=lambda t: t["when"].map(convert))
    parts = list(split(table, config(method="time", by="when")).values())
    assert [len(part) for part in parts] == [60, 20, 20]
    for earlier, later in pairwise(parts):
        assert earlier["when"].max() <= later["when"].min()


@pytest.mark.parametrize(
    ("table", "values", "what"),
    [
        (frame(60), {"method": "stratified", "by": "lable"}, 'there is no column "lable"'),
        (frame(60), {"method": "stratified", "by": "id"}, "has 60 values; the rarest"),
        (
            frame(60).assign(label=[1, *[0] * 59]),
            {"method": "stratified", "by": "label"},
            'the rarest, "1", is in 1 of 60 rows, too few',
        ),
        (
            frame(60).assign(label=[1, 1, 1, *[0] * 57]),
            {"method": "stratified", "by": "label"},
            'the rarest, "1", is in 3 of 60 rows, too few',
        ),
        (
            frame(60).assign(label=[float("nan"), *[0.0] * 59]),
            {"method": "stratified", "by": "label"},
            'column "label" is empty in 1 of 60 rows',
        ),
        (frame(60, labels=1), {"method": "group", "by": "label"}, "too few for every part"),
        (
            frame(60).assign(when="some day"),
            {"method": "time", "by": "when"},
            'column "when" holds no times',
        ),
        (frame(2), {}, '2 rows leave none for "test"'),
    ],
)
def test_what_cannot_be_divided_is_refused(
    table: pandas.DataFrame, values: dict[str, Any], what: str
) -> None:
    with pytest.raises(StageError) as caught:
        split(table, config(**values))
    assert what in caught.value.what
    assert "split" in str(caught.value.where)


def test_a_mistyped_column_gets_a_suggestion() -> None:
    with pytest.raises(StageError, match=r'Did you mean "label"\? Columns: id, label, when\.'):
        split(frame(60), config(method="group", by="labell"))

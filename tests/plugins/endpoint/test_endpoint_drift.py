"""When a feature is said to have drifted: by how much, and how surely, at any number of rows."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlpipe_endpoint.monitoring.drift import (
    Bins,
    bins_of,
    compare,
    judged,
    significance,
    stability_index,
)

EFFECT, ALPHA = 0.1, 0.05
RNG = np.random.default_rng(3)
STATE = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def _same_numbers_each_time() -> None:
    """Whatever the order of the tests."""
    RNG.bit_generator.state = STATE


def frame(rows: int, shift: float = 0.0, features: int = 5) -> pd.DataFrame:
    """Make features of which the first is shifted, in standard deviations."""
    values = RNG.normal(size=(rows, features))
    values[:, 0] += shift
    return pd.DataFrame(values, columns=[f"x{number}" for number in range(features)])


@pytest.mark.parametrize("rows", [1_000, 10_000, 100_000])
def test_without_a_change_nothing_drifts_at_any_number_of_rows(rows: int) -> None:
    for _ in range(20):
        assert not any(each.drifted for each in compare(frame(10_000), frame(rows), EFFECT, ALPHA))


def test_a_real_change_is_found_in_few_rows() -> None:
    for _ in range(20):
        found = compare(frame(10_000), frame(1_000, shift=0.6), EFFECT, ALPHA)
        assert [each.name for each in found if each.drifted] == ["x0"]
        assert found[0].name == "x0"


def test_a_change_that_does_not_matter_is_none_however_surely_it_is_there() -> None:
    """Ten million rows, as counts: significant beyond doubt, and a hundredth of a deviation."""
    bins = Bins(edges=tuple(stats.norm.ppf(np.linspace(0, 1, 11)[1:-1])))
    edges = [-np.inf, *bins.edges, np.inf]
    before, after = (
        np.append(RNG.multinomial(10_000_000, np.diff(stats.norm.cdf(edges, shift))), 0)
        for shift in (0.0, 0.01)
    )
    (found,) = judged(["x"], [bins], [(before, after)], EFFECT, ALPHA)
    assert found.p < 1e-9
    assert found.index < 0.001
    assert not found.drifted


def test_many_features_are_judged_together() -> None:
    """Of two hundred tests at 5 %, ten would be significant by chance; corrected, none is."""
    before, after = frame(5_000, features=200), frame(5_000, features=200)
    found = compare(before, after, effect=1e-9, alpha=ALPHA)
    assert sum(each.drifted for each in found) <= 1
    alone = [
        significance(bins_of(before[n]).count(before[n]), bins_of(before[n]).count(after[n]))
        for n in before
    ]
    assert sum(p <= ALPHA for p in alone) >= 3


def test_values_that_are_missing_now_are_a_change() -> None:
    before, after = frame(5_000, features=2), frame(2_000, features=2)
    after.loc[:800, "x1"] = np.nan
    (first, *_) = compare(before, after, EFFECT, ALPHA)
    assert (first.name, first.drifted) == ("x1", True)
    assert first.after[-1] == pytest.approx(801 / 2000)


def test_texts_and_truth_values_are_categories() -> None:
    before = pd.DataFrame({"kind": ["a"] * 500 + ["b"] * 500, "new": [True, False] * 500})
    after = pd.DataFrame({"kind": ["a"] * 300 + ["c"] * 300, "new": [True, False] * 300})
    found = {each.name: each for each in compare(before, after, EFFECT, ALPHA)}
    assert found["kind"].drifted
    assert found["kind"].bins.labels == ["a", "b", "other", "missing"]
    assert found["kind"].after == (0.5, 0.0, 0.5, 0.0)
    assert not found["new"].drifted


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200))
def test_every_value_has_one_bin(values: list[float]) -> None:
    series = pd.Series(values)
    bins = bins_of(series)
    counts = bins.count(series)
    assert counts.sum() == len(values)
    assert len(counts) == len(bins.labels)
    assert list(bins.edges) == sorted(set(bins.edges))
    assert stability_index(counts, counts) == pytest.approx(0)


@given(st.lists(st.integers(0, 500), min_size=2, max_size=12), st.data())
def test_the_index_is_never_below_zero_and_the_same_both_ways(
    before: list[int], data: st.DataObject
) -> None:
    after = data.draw(st.lists(st.integers(0, 500), min_size=len(before), max_size=len(before)))
    one, other = np.array(before), np.array(after)
    assert stability_index(one, other) >= 0
    assert stability_index(one, other) == pytest.approx(stability_index(other, one))
    assert 0 <= significance(one, other) <= 1

"""Counts, means and variances that are kept piece by piece, as if they were kept at once."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpipe_experiments import Moments, RatioMoments

NUMBERS = st.lists(st.floats(-1e6, 1e6), max_size=30)
PAIRS = st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(0.5, 1e3)), max_size=30)


@given(NUMBERS, NUMBERS)
def test_parts_add_up(first: list[float], second: list[float]) -> None:
    found, whole = Moments.of(first) + Moments.of(second), Moments.of(first + second)
    assert found.count == whole.count
    assert found.mean == pytest.approx(whole.mean, rel=1e-9, abs=1e-6)
    assert found.squares == pytest.approx(whole.squares, rel=1e-6, abs=1e-3)


@given(PAIRS, PAIRS)
def test_parts_of_ratios_add_up(
    first: list[tuple[float, float]], second: list[tuple[float, float]]
) -> None:
    found = (RatioMoments.of(first) + RatioMoments.of(second)).summary()
    whole = RatioMoments.of(first + second).summary()
    assert found.count == whole.count
    assert found.mean == pytest.approx(whole.mean, rel=1e-6, abs=1e-9)
    if math.isfinite(whole.variance):
        assert found.variance == pytest.approx(whole.variance, rel=1e-3, abs=1e-3)


def test_small_spreads_beside_large_means_keep_their_digits() -> None:
    values = [1e9 + number / 10 for number in range(1000)]
    parts = [Moments.of(values[start : start + 10]) for start in range(0, 1000, 10)]
    found = sum(parts, Moments()).summary()
    assert found.variance == pytest.approx(np.var(values, ddof=1), rel=1e-6)


def test_the_variance_of_a_ratio_is_the_one_that_repetition_shows() -> None:
    random = np.random.default_rng(1)
    ratios, claimed = [], []
    for _ in range(400):
        views = random.poisson(5, 500) + 1
        # A user's clicks depend on each other: some click much, some never.
        clicks = random.binomial(views, random.beta(1, 9, 500))
        found = RatioMoments.of(zip(clicks, views, strict=True)).summary()
        ratios.append(found.mean)
        claimed.append(found.variance_of_mean)
    assert np.var(ratios) == pytest.approx(np.mean(claimed), rel=0.2)  # 7 % standard error
    naive = 0.1 * 0.9 / (6 * 500)
    assert np.mean(claimed) > 1.2 * naive


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        Moments.of([1.0, value])


def test_too_few_have_no_variance() -> None:
    assert Moments.of([3.0]).summary().variance == math.inf
    assert Moments().summary().variance_of_mean == math.inf
    assert RatioMoments.of([(1, 2)]).summary().variance == math.inf

"""Keys and variants: always the same one, in the weights' shares, moving no more than it must."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mlpipe_experiments.assignment import fingerprint, ranked

KEYS = [f"user {number}" for number in range(20_000)]
NAMES = st.text("abcxyz", min_size=1, max_size=3)
WEIGHTS = st.dictionaries(NAMES, st.floats(0.01, 1000), min_size=1, max_size=6)


def assigned(weights: dict[str, float], salt: str = "churn") -> list[str]:
    return [ranked(key, weights, salt)[0] for key in KEYS]


@pytest.mark.parametrize("weights", [{"a": 90, "b": 10}, {"a": 0.5, "b": 0.25, "c": 0.25}])
def test_shares_are_those_of_the_weights(weights: dict[str, float]) -> None:
    counts = Counter(assigned(weights))
    total = sum(weights.values())
    expected = [len(KEYS) * weight / total for weight in weights.values()]
    found = stats.chisquare([counts[name] for name in weights], expected)
    assert found.pvalue > 1e-4  # the hash is what it is: this holds always, or never


def test_only_those_move_that_must() -> None:
    before, after = assigned({"a": 90, "b": 10}), assigned({"a": 80, "b": 20})
    moved = Counter(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    assert set(moved) == {("a", "b")}
    assert moved["a", "b"] == pytest.approx(0.1 * len(KEYS), rel=0.1)
    with_third = assigned({"a": 90, "b": 10, "c": 100})
    assert {new for old, new in zip(before, with_third, strict=True) if old != new} == {"c"}


def test_another_salt_assigns_independently() -> None:
    weights = {"a": 1.0, "b": 1.0}
    table = Counter(zip(assigned(weights), assigned(weights, "another"), strict=True))
    cells = [[table[x, y] for y in weights] for x in weights]
    assert stats.chi2_contingency(cells).pvalue > 1e-4


@given(st.text(), WEIGHTS, st.text())
def test_a_rank_has_each_variant_once_and_is_the_same_again(
    key: str, weights: dict[str, float], salt: str
) -> None:
    found = ranked(key, weights, salt)
    assert sorted(found) == sorted(weights)
    assert ranked(key, dict(reversed(weights.items())), salt) == found
    assert ranked(key, {name: 2 * weight for name, weight in weights.items()}, salt) == found
    without = {name: weight for name, weight in weights.items() if name != found[0]}
    assert ranked(key, without, salt) == found[1:]


def test_a_variant_without_a_share_gets_no_key() -> None:
    assert ranked("somebody", {"a": 0.0, "b": 1.0}, "") == ["b"]


def test_texts_do_not_run_into_each_other() -> None:
    assert fingerprint("bc", "a") != fingerprint("c", "ab")
    assert fingerprint("somebody", "churn") != fingerprint("somebody", "other")

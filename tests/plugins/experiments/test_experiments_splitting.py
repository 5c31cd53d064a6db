"""Whether units came in the planned shares, against other implementations."""

import numpy as np
import pytest
from savvi.multinomial import Multinomial
from scipy import stats

from mlpipe_experiments import shares
from mlpipe_experiments.splitting import CONCENTRATION


@pytest.mark.parametrize(
    ("weights", "true"),
    [((0.5, 0.5), (0.5, 0.5)), ((0.9, 0.1), (0.89, 0.11)), ((0.5, 0.25, 0.25), (0.4, 0.3, 0.3))],
)
def test_the_p_value_is_that_of_another_implementation(
    weights: tuple[float, ...], true: tuple[float, ...]
) -> None:
    random = np.random.default_rng(5)
    theirs = Multinomial(0.05, np.array(weights), k=CONCENTRATION)
    counts = np.zeros(len(weights), dtype=int)
    names = "abc"[: len(weights)]
    for _ in range(12):
        came = random.multinomial(700, true)
        theirs.update(came)
        counts += came
        ours = shares(
            dict(zip(names, counts.tolist(), strict=True)),
            dict(zip(names, (100 * w for w in weights), strict=True)),
        )
        assert ours.p == pytest.approx(min(1.0, 1 / theirs.odds), rel=1e-6)
        expected = counts.sum() * np.array(weights)
        assert ours.p_fixed == pytest.approx(stats.chisquare(counts, expected).pvalue)


@pytest.mark.parametrize(
    ("counts", "running", "final"),
    [
        ({"a": 45_000, "b": 5_000}, False, False),
        ({"a": 45_210, "b": 4_790}, False, True),  # p 0.002: enough at the end alone
        ({"a": 44_300, "b": 5_700}, True, True),
    ],
)
def test_mismatches(counts: dict[str, int], running: bool, final: bool) -> None:
    found = shares(counts, {"a": 9, "b": 1})
    assert found.mismatch(0.01, final=False) == running
    assert found.mismatch(0.01, final=True) == final


def test_without_units_nothing_is_wrong() -> None:
    found = shares({"a": 0, "b": 0}, {"a": 1, "b": 1})
    assert (found.p, found.p_fixed) == (1.0, 1.0)


def test_the_variants_are_the_same() -> None:
    with pytest.raises(ValueError, match=r"units of \['a', 'c'\], shares of \['a', 'b'\]"):
        shares({"a": 1, "c": 1}, {"a": 1, "b": 1})

"""Always-valid intervals and p-values, against computations of another kind."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from mlpipe_experiments import Summary, difference, worse
from mlpipe_experiments.sequential import (
    LEAST,
    half_width,
    log_evidence,
    log_evidence_above,
    tuning,
)

Z, R = st.floats(-6, 6), st.floats(0.01, 100)


@given(Z, R)
def test_the_evidence_is_the_mixture_of_likelihood_ratios(z: float, r: float) -> None:
    def integral(lowest: float) -> float:
        grid = np.linspace(lowest, 15, 300_001)  # effects, in units of the mixture's spread
        effects = grid * math.sqrt(r)  # in standard errors: N(effect, 1) against N(0, 1)
        ratios = np.exp(effects * z - effects**2 / 2) * stats.norm.pdf(grid)
        return float(np.trapezoid(ratios, grid))

    assert log_evidence(z, r) == pytest.approx(math.log(integral(-15)), abs=1e-6)
    assert log_evidence_above(z, r) == pytest.approx(math.log(2 * integral(0)), abs=1e-5)


@given(st.floats(1e-6, 100), R, st.floats(0.001, 0.5))
def test_an_interval_is_what_the_evidence_does_not_refuse(
    variance: float, r: float, alpha: float
) -> None:
    def excess(distance: float) -> float:
        return float(log_evidence(distance / math.sqrt(variance), r)) + math.log(alpha)

    found = optimize.brentq(excess, 0, 1e4 * math.sqrt(variance))
    assert half_width(variance, r, alpha) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.2])
def test_intervals_are_narrowest_where_they_were_planned_to_be(alpha: float) -> None:
    planned = 40_000.0
    best = optimize.minimize_scalar(
        lambda log: half_width(1.0, math.exp(log) * planned, alpha), bounds=(-20, 0)
    )
    chosen = half_width(1.0, tuning(planned, alpha) * planned, alpha)
    assert chosen <= 1.01 * best.fun  # the paper's formula is an approximation
    for other in (0.1, 10):
        assert half_width(1.0, tuning(other * planned, alpha) * planned, alpha) > 1.02 * best.fun


SUMMARIES = st.builds(
    Summary, st.integers(LEAST, 10**7), st.floats(-100, 100), st.floats(0.01, 10_000)
)


@given(SUMMARIES, SUMMARIES, st.sampled_from([0.01, 0.05, 0.1]))
def test_interval_and_p_value_agree(control: Summary, treatment: Summary, alpha: float) -> None:
    found = difference(control, treatment, alpha, 50_000)
    assert found.lower < found.estimate < found.upper
    if abs(found.p - alpha) > 1e-9:
        assert (found.lower > 0 or found.upper < 0) == (found.p < alpha)
    other = difference(treatment, control, alpha, 50_000)
    assert (other.estimate, other.lower, other.upper) == pytest.approx(
        (-found.estimate, -found.upper, -found.lower)
    )
    assert other.p == found.p


def test_nothing_is_concluded_from_few_units() -> None:
    few, many = Summary(LEAST - 1, 0.0, 1.0), Summary(10**6, 100.0, 1.0)
    for pair in ((few, many), (many, few)):
        found = difference(*pair, 0.05, 1000)
        assert (found.lower, found.upper, found.p) == (-math.inf, math.inf, 1.0)
        assert worse(*pair, 0.0, 0.05, 1000) == (1.0, 1.0)
    assert difference(many, Summary(10**6, 1.0, 0.0), 0.05, 1000).p < 1e-6


@pytest.mark.parametrize(
    ("rate", "margin", "breached", "held"),
    [(0.010, 0.005, False, True), (0.020, 0.005, True, False), (0.0145, 0.005, False, False)],
)
def test_guardrails(rate: float, margin: float, breached: bool, held: bool) -> None:
    count = 20_000
    control = Summary(count, 0.010, 0.010 * 0.990)
    treatment = Summary(count, rate, rate * (1 - rate))
    over, under = worse(control, treatment, margin, 0.05, 2 * count)
    assert (over <= 0.05, under <= 0.05) == (breached, held)


def test_a_guardrail_where_all_units_are_alike() -> None:
    same, other = Summary(1000, 0.0, 0.0), Summary(1000, 1.0, 0.0)
    over, under = worse(same, other, 0.5, 0.05, 1000)
    assert over < 1e-6
    assert under == 1
    over, under = worse(same, same, 0.5, 0.05, 1000)
    assert over == 1
    assert under < 1e-6
    assert worse(same, same, 0.0, 0.05, 1000) == (1.0, 1.0)  # nothing shows that it is not worse


def test_that_nothing_failed_is_no_certainty() -> None:
    """At a true difference of the margin, 100 units without a failure are no surprise."""
    control, treatment = Summary(900, 0.0, 0.0), Summary(100, 0.0, 0.0)
    _, under = worse(control, treatment, 0.005, 0.05, 1000)
    assert 0.995**100 > 0.6
    assert under > 0.5


def test_several_events_of_a_unit_count() -> None:
    one, many = Summary(1000, 0.0, 0.0), Summary(1000, 0.0, 0.0, events=20.0)
    assert worse(many, many, 0.01, 0.05, 2000)[1] < worse(one, one, 0.01, 0.05, 2000)[1]


def test_few_units_do_not_speak_for_their_own_spread() -> None:
    many, few = Summary(9000, 1.0, 9.0), Summary(1000, 0.8, 1.0)
    found = difference(many, few, 0.05, 10_000)
    pooled = (8999 * 9.0 + 999 * 1.0) / 9998 * (1 / 9000 + 1 / 1000)
    wanted = half_width(pooled, tuning(10_000, 0.05) * 10_000, 0.05)
    assert found.upper - found.estimate == pytest.approx(wanted)


def test_intervals_become_narrower() -> None:
    widths = []
    for count in np.geomspace(LEAST, 10**6, 20).astype(int):
        found = difference(Summary(count, 0.1, 0.09), Summary(count, 0.1, 0.09), 0.05, 20_000)
        widths.append(found.upper - found.lower)
    assert widths == sorted(widths, reverse=True)

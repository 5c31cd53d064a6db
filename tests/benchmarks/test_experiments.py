"""How often experiments are decided wrongly when somebody looks at them every day.

Each experiment is simulated outcome by outcome, and looked at after each of its days. The peer is
what is usually done: a z-test at 5 %, looked at as often.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import stats

from mlpipe_experiments import ExperimentPlan, Moments, size, worse
from mlpipe_experiments.planning import planned
from mlpipe_experiments.sequential import LEAST, log_evidence, pooled, tuning
from mlpipe_experiments.splitting import fixed
from mlpipe_experiments.splitting import log_evidence as log_evidence_of_shares

EXPERIMENTS, DAYS, ALPHA = 10_000, 30, 0.05
#: What the false rates of this many experiments may show where the true one is alpha.
LUCK = 0.999
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Looks:
    """What is seen of two variants after each day, all of shape (experiments, days).

    Attributes:
        units: Of both variants.
        fewer: Of the variant with fewer.
        z: The difference in standard errors, and
        plain: the same as a z-test has it, with each variant's own spread.
    """

    units: Array
    fewer: Array
    z: Array
    plain: Array


def plan(share: float, **metric: Any) -> ExperimentPlan:
    return ExperimentPlan.model_validate(
        {
            "control": "a",
            "weights": {"a": 1 - share, "b": share},
            "alpha": ALPHA,
            **metric,
        }
    )


#: A conversion of a tenth, and money: most spend little, few spend much.
BINARY = {"metric": {"name": "conversion", "baseline": 0.1}, "effect": 0.015}


def skewed(sigma: float, effect: float) -> dict[str, Any]:
    """Describe lognormal outcomes: most are small, few are large."""
    return {
        "metric": {
            "name": "revenue",
            "kind": "continuous",
            "baseline": math.exp(sigma**2 / 2),
            "deviation": math.sqrt((math.exp(sigma**2) - 1) * math.exp(sigma**2)),
        },
        "effect": effect,
    }


def looked_at(made: ExperimentPlan, effect: float, random: np.random.Generator) -> Looks:
    total = size(made).horizon
    counts, sums, squares = [], [], []
    for variant, shift in (("a", 0.0), ("b", effect)):
        daily = max(1, round(total * made.share(variant) / DAYS))
        day_sums, day_squares = outcomes(made, daily, shift, random)
        counts.append(daily * np.arange(1, DAYS + 1.0))
        sums.append(day_sums.cumsum(axis=1))
        squares.append(day_squares.cumsum(axis=1))
    means = [s / n for s, n in zip(sums, counts, strict=True)]
    spread = [(q - n * m**2) / (n - 1) for q, n, m in zip(squares, counts, means, strict=True)]
    own = spread[0] / counts[0] + spread[1] / counts[1]
    variance = np.maximum(own, pooled((counts[0], counts[1]), (spread[0], spread[1])))
    apart = means[1] - means[0]
    plain, z = apart / np.sqrt(own), apart / np.sqrt(variance)
    return Looks(counts[0] + counts[1], np.minimum(*counts), z, plain)


def outcomes(
    made: ExperimentPlan, daily: int, shift: float, random: np.random.Generator
) -> tuple[Array, Array]:
    """Give each day's sum of outcomes and of their squares."""
    shape = (EXPERIMENTS, DAYS)
    if made.metric.kind == "binary":
        ones = random.binomial(daily, made.metric.baseline + shift, shape).astype(float)
        return ones, ones
    sums, squares = np.empty(shape), np.empty(shape)
    sigma = math.sqrt(2 * math.log(made.metric.baseline))
    for day in range(DAYS):
        values = random.lognormal(0.0, sigma, (EXPERIMENTS, daily)) + shift
        sums[:, day], squares[:, day] = values.sum(axis=1), (values**2).sum(axis=1)
    return sums, squares


def decided(made: ExperimentPlan, looks: Looks) -> Array:
    """Tell at which looks an experiment would be decided, as ``decide`` does; the last closes."""
    alpha = made.alpha_of_part
    r = tuning(planned(made, "b"), alpha) * looks.units
    found = np.asarray(log_evidence(looks.z, r) >= -math.log(alpha))
    found[:, -1] |= np.abs(looks.z[:, -1]) > stats.norm.isf(alpha / 2)
    enough: Array = np.logical_and(found, looks.fewer >= LEAST)
    return enough


def peeked(looks: Looks) -> Array:
    """Tell the same of a z-test that is looked at every day."""
    found: Array = np.abs(looks.plain) > stats.norm.isf(ALPHA / 2)
    return found


def at_most(count: int, bound: float) -> bool:
    """Tell whether so many of all experiments are no sign of a rate above a bound."""
    lowest = stats.beta.ppf(1 - LUCK, count, EXPERIMENTS - count + 1) if count else 0.0
    return bool(lowest <= bound)


@pytest.mark.parametrize("share", [0.5, 0.1], ids=["50/50", "90/10"])
@pytest.mark.parametrize(
    "metric",
    [BINARY, skewed(1.0, 0.25), skewed(1.5, 0.8)],
    ids=["binary", "skewed", "very skewed"],
)
def test_looking_every_day(
    metric: dict[str, Any], share: float, show: Callable[[str], None]
) -> None:
    made, random = plan(share, **metric), np.random.default_rng(7)
    same = looked_at(made, 0.0, random)
    apart = looked_at(made, made.effect, random)
    wrong = decided(made, same).any(axis=1)
    promoted = (decided(made, same) & (same.z > 0)).any(axis=1)
    peer = peeked(same).any(axis=1)
    hits = decided(made, apart)
    found = (hits & (apart.z > 0)).any(axis=1)
    once = apart.plain[:, -1] > stats.norm.isf(ALPHA / 2)
    days = np.where(found, hits.argmax(axis=1) + 1, DAYS).mean() / DAYS
    name = f"{made.metric.name} {made.metric.baseline:.3g}"
    kind = f"{name} {100 * (1 - share):.0f}/{100 * share:.0f}"
    highest = stats.beta.ppf(0.95, wrong.sum() + 1, EXPERIMENTS - wrong.sum())
    show(
        f"  {kind:<22} {size(made).horizon:6,} units: decided without effect {wrong.mean():.4f} "
        f"(below {highest:.4f}), promoted {promoted.mean():.4f}, z-test {peer.mean():.3f}; "
        f"power {found.mean():.3f}, once at the end {once.mean():.3f}; ends after {days:.2f}"
    )
    assert at_most(int(wrong.sum()), ALPHA)
    assert at_most(int(promoted.sum()), ALPHA / 2)
    assert peer.mean() > 4 * ALPHA
    assert found.mean() > 0.75 * once.mean()
    assert found.mean() > made.power - 0.05  # skewed outcomes of few units cost some


@pytest.mark.parametrize("share", [0.5, 0.1], ids=["50/50", "90/10"])
def test_at_the_size_of_a_single_test(share: float, show: Callable[[str], None]) -> None:
    """Who has only as many units as one test needs loses little by looking every day."""
    enough = size(plan(share, **BINARY)).fixed
    made, random = plan(share, **BINARY, horizon=enough), np.random.default_rng(10)
    apart = looked_at(made, made.effect, random)
    found = (decided(made, apart) & (apart.z > 0)).any(axis=1)
    once = apart.plain[:, -1] > stats.norm.isf(ALPHA / 2)
    show(f"  {enough:,} units: power {found.mean():.3f}, once at the end {once.mean():.3f}")
    assert found.mean() > 0.75 * once.mean()


@pytest.mark.parametrize("share", [0.5, 0.1], ids=["50/50", "90/10"])
def test_shares_looked_at_every_day(share: float, show: Callable[[str], None]) -> None:
    alpha, daily, random = 0.01, 1000, np.random.default_rng(8)
    rates = {}
    for name, true in (("right", share), ("wrong", share * 1.02)):
        treated = random.binomial(daily, true, (EXPERIMENTS, DAYS)).cumsum(axis=1)
        total = daily * np.arange(1, DAYS + 1.0)
        observed = np.stack([total - treated, treated], axis=-1)
        intended = np.array([1 - share, share])
        running = (log_evidence_of_shares(observed, intended) >= -math.log(alpha / 2)).any(axis=1)
        final = fixed(observed[:, -1], intended) <= alpha / 2
        daily_test = (fixed(observed, intended) <= alpha).any(axis=1)
        rates[name] = [each.mean() for each in (running, running | final, daily_test)]
        if name == "right":
            assert at_most(int((running | final).sum()), alpha)
    show(
        f"  shares {100 * (1 - share):.0f}/{100 * share:.0f}: false alarms {rates['right'][1]:.4f} "
        f"(chi-square every day {rates['right'][2]:.3f}); 2 % fewer or more found by "
        f"{rates['wrong'][0]:.3f} of running tests, {rates['wrong'][1]:.3f} with the one at the end"
    )
    assert rates["wrong"][1] > rates["wrong"][0]


@pytest.mark.parametrize(
    ("rate", "margin", "share"),
    [(0.001, 0.005, 0.5), (0.001, 0.005, 0.1), (0.01, 0.01, 0.1), (0.1, 0.02, 0.5)],
)
def test_guardrails_looked_at_often(
    rate: float, margin: float, share: float, show: Callable[[str], None]
) -> None:
    """At a true difference of just the margin, neither answer is right."""
    experiments, looks, total, random = 1000, 15, 6000, np.random.default_rng(9)
    daily = [round(total * each / looks) for each in (1 - share, share)]
    true = (rate, rate + margin)
    failed = np.stack(
        [
            random.binomial(n, p, (experiments, looks)).cumsum(axis=1)
            for n, p in zip(daily, true, strict=True)
        ],
        axis=-1,
    )
    wrong = np.zeros(2)
    for experiment in failed:
        lowest = np.ones(2)
        for look, counts in enumerate(experiment, 1):
            seen = [binary(int(k), n * look) for k, n in zip(counts, daily, strict=True)]
            found = worse(seen[0].summary(), seen[1].summary(), margin, ALPHA, total)
            lowest = np.minimum(lowest, found)
        wrong += lowest <= ALPHA
    show(
        f"  guardrail {rate:g} + {margin:g}, {100 * (1 - share):.0f}/{100 * share:.0f}: "
        f"breached {wrong[0] / experiments:.3f}, ok {wrong[1] / experiments:.3f}"
    )
    for count in wrong:
        assert stats.beta.ppf(1 - LUCK, max(count, 1), experiments - count + 1) <= ALPHA


def binary(ones: int, count: int) -> Moments:
    return Moments(count, ones / count, ones * (1 - ones / count))

"""The rule of a planned experiment, replayed on recorded traffic of one variant.

Each replay splits the units anew, at random and in the plan's shares, and keeps the order in which
they came. As all had the same variant, whatever is found then is not there; an effect is added to
the treatments' outcomes to see how often the rule finds it.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpipe import UserError
from mlpipe_experiments.moments import Moments, RatioMoments
from mlpipe_experiments.plan import ERROR_RATE, LATENCY, ExperimentPlan
from mlpipe_experiments.planned import Traffic
from mlpipe_experiments.planning import size
from mlpipe_experiments.simulating import LEAST, moments, ratio, shifted
from mlpipe_experiments.tallying import summarised
from mlpipe_experiments.verdict import Observed, decide

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Columns of the numerators of what guardrails are about; the denominators, requests, are in 2.
_GUARDED = ((ERROR_RATE, 3), (LATENCY, 4))

#: Of the bounds of a share.
CONFIDENCE = 0.95

_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of replays.

    Attributes:
        replays: How many.
        promoted: How many of them promoted a treatment.
        units: How many units it took until the end; the median.
        baseline: What the metric is in this traffic, without any effect.
    """

    replays: int
    promoted: int
    units: int
    baseline: float

    @property
    def share(self) -> float:
        """The share of replays that promoted a treatment."""
        return self.promoted / self.replays

    @property
    def bounds(self) -> tuple[float, float]:
        """The exact confidence interval of that share (Clopper and Pearson, 1934)."""
        from scipy.stats import binomtest

        found = binomtest(self.promoted, self.replays).proportion_ci(CONFIDENCE, "exact")
        return float(found.low), float(found.high)


def replay(
    plan: ExperimentPlan,
    traffic: Traffic,
    effect: float,
    *,
    replays: int,
    looks: int,
    seed: int = 0,
    resample: bool = False,
) -> Replayed:
    """Replay a plan on the newest units that it takes.

    Args:
        plan: What is decided before.
        traffic: Of one variant.
        effect: What is added to the mean of each treatment, for the better, in the metric's unit.
        replays: How often.
        looks: How often each is looked at until it ends.
        seed: Another one splits them otherwise.
        resample: Whether units are drawn with replacement, so that fewer suffice.

    Raises:
        UserError: There are too few units, or the effect cannot be added to their outcomes.
    """
    import numpy as np

    horizon = size(plan).horizon
    pool = _pool(plan, traffic, horizon, resample)
    baseline = moments(plan, pool[:, :2]).summary().mean
    _check(plan, baseline, effect)
    ends = []
    for number in range(replays):
        digest = hashlib.sha256(f"{traffic.salt} {seed} {number}".encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8]))
        drawn = pool[random.integers(len(pool), size=horizon)] if resample else pool
        ends.append(_end(plan, _split(plan, drawn, plan.sign * effect, baseline, random), looks))
    promoted = sum(winner for _, winner in ends)
    return Replayed(replays, promoted, int(np.median([after for after, _ in ends])), baseline)


def _pool(plan: ExperimentPlan, traffic: Traffic, horizon: int, resample: bool) -> "Array":
    import numpy as np

    units = traffic.units
    needed = LEAST if resample else horizon
    if len(units) < needed:
        other = "" if resample else " Or draw units more than once: --resample"
        raise UserError(
            f"{len(units):,} units of {traffic.variant} are recorded; it takes {needed:,}",
            where=str(traffic.where),
            fix=f"Wait for {needed - len(units):,} more{_days(traffic, needed)}.{other}",
        )
    binary = plan.metric.kind == "binary"
    newest = units if resample else units[-horizon:]
    return np.array(
        [
            (float(u.value > 0) if binary else u.value, u.of, u.requests, u.failed, u.slow)
            for u in newest
        ],
        dtype=float,
    )


def _days(traffic: Traffic, needed: int) -> str:
    """Say how long that takes, were as many to come as have so far."""
    units = traffic.units
    days = (units[-1].arrived - units[0].arrived) / _DAY if len(units) > 1 else 0.0
    return f", {(needed - len(units)) * days / len(units):.1f} days at this pace" if days else ""


def _check(plan: ExperimentPlan, baseline: float, effect: float) -> None:
    after = baseline + plan.sign * effect
    if plan.metric.kind == "binary" and effect and not 0 < after < 1:
        raise UserError(
            f"{plan.metric.name} is {baseline:.4g} in this traffic, and would become {after:.4g}, "
            "which is no share",
            fix="Try another effect: --effect. And see that the outcomes are those of its users.",
        )


def _split(
    plan: ExperimentPlan,
    drawn: "Array",
    shift: float,
    baseline: float,
    random: "np.random.Generator",
) -> "tuple[Array, Array]":
    """Give the variant of each unit, by number, and the units with the effect."""
    shares = [plan.share(name) for name in plan.weights]
    variants = random.choice(len(shares), size=len(drawn), p=shares)
    treated = variants != list(plan.weights).index(plan.control)
    changed = drawn.copy()
    if shift:
        changed[treated, :2] = shifted(plan, drawn[treated, :2], shift, random, baseline)
    return variants, changed


def _end(plan: ExperimentPlan, split: "tuple[Array, Array]", looks: int) -> tuple[int, bool]:
    """Replay once; give after how many units it ended, and whether with a promotion."""
    variants, units = split
    tally, before = _Tally(plan), 0
    for look in range(1, looks + 1):
        upto = len(units) * look // looks
        for number, name in enumerate(plan.weights):
            tally.add(name, units[before:upto][variants[before:upto] == number])
        before = upto
        verdict = decide(plan, tally.observed(), closing=look == looks)
        if verdict.kind != "inconclusive":
            return upto, verdict.kind == "promote"
    return len(units), False


class _Tally:
    """Adds up units that are rows of an array."""

    def __init__(self, plan: ExperimentPlan) -> None:
        self._plan = plan
        empty = RatioMoments() if plan.metric.kind == "ratio" else Moments()
        self._counts = dict.fromkeys(plan.weights, 0)
        self._outcomes: dict[str, Moments | RatioMoments] = dict.fromkeys(plan.weights, empty)
        guarded = {each.metric for each in plan.guardrails}
        self._columns = {name: column for name, column in _GUARDED if name in guarded}
        self._guarded = {
            name: dict.fromkeys(plan.weights, RatioMoments()) for name in self._columns
        }

    def add(self, variant: str, units: "Array") -> None:
        self._counts[variant] += len(units)
        self._outcomes[variant] += moments(self._plan, units[:, :2])  # type: ignore[operator]
        for name, column in self._columns.items():
            self._guarded[name][variant] += ratio(units[:, [column, 2]])

    def observed(self) -> Observed:
        return summarised(self._counts, self._outcomes, self._guarded)

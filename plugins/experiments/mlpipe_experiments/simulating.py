"""The rule, tried on what was recorded: how often it would be wrong, and how soon right."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlpipe import UserError
from mlpipe_experiments.joining import Unit
from mlpipe_experiments.moments import Moments, RatioMoments, Summary
from mlpipe_experiments.plan import ExperimentPlan
from mlpipe_experiments.planning import size
from mlpipe_experiments.verdict import Observed, decide

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

#: Units of the control that must be known.
LEAST = 100


@dataclass(frozen=True, slots=True)
class Simulated:
    """What became of simulated experiments.

    Attributes:
        experiments: How many.
        promoted: Share of them in which a treatment was promoted.
        units: How many units it took until then, or until the end; the median.
    """

    experiments: int
    promoted: float
    units: int


def simulate(
    plan: ExperimentPlan,
    units: Sequence[Unit],
    effect: float,
    *,
    experiments: int,
    looks: int,
    seed: int = 0,
) -> Simulated:
    """Run experiments on units drawn from the control's, with replacement.

    Args:
        plan: What was decided before; its guardrails are left out.
        units: Recorded ones, of which the control's are drawn.
        effect: What is added to the mean of each treatment, in the metric's unit.
        experiments: How many.
        looks: How often each is looked at until it ends.
        seed: Where the random numbers start.

    Raises:
        UserError: There are too few units.
    """
    import numpy as np

    pool = _pool(plan, units)
    random = np.random.default_rng(seed)
    bare = plan.model_copy(update={"guardrails": ()})
    ends = [_end(bare, pool, effect, looks, random) for _ in range(experiments)]
    promoted = sum(winner for _, winner in ends) / experiments
    return Simulated(experiments, promoted, int(np.median([after for after, _ in ends])))


def _pool(plan: ExperimentPlan, units: Sequence[Unit]) -> "Array":
    """Give the control's outcomes, of shape (units, 2): values, and what they are by."""
    import numpy as np

    known = [(each.value, each.of) for each in units if each.variant == plan.control]
    if len(known) < LEAST:
        raise UserError(
            f"{len(known)} units of {plan.control} are known; it takes {LEAST} to draw from",
            fix="Send it requests, and record their outcomes: mlpipe ab record",
        )
    return np.array(known)


def _end(
    plan: ExperimentPlan, pool: "Array", effect: float, looks: int, random: "np.random.Generator"
) -> tuple[int, bool]:
    """Run one experiment; give after how many units it ended, and whether with a promotion."""
    horizon = size(plan).horizon
    seen: dict[str, Moments | RatioMoments] = {}
    counts = dict.fromkeys(plan.weights, 0)
    for look in range(1, looks + 1):
        upto = horizon * look // looks
        came = random.multinomial(
            upto - sum(counts.values()), [plan.share(name) for name in plan.weights]
        )
        for name, count in zip(plan.weights, came, strict=True):
            shift = 0.0 if name == plan.control else plan.sign * effect
            more = moments(plan, shifted(plan, _drawn(pool, count, random), shift, random))
            seen[name] = seen[name] + more if name in seen else more  # type: ignore[operator]
            counts[name] += int(count)
        summaries: dict[str, Summary] = {name: each.summary() for name, each in seen.items()}
        verdict = decide(plan, Observed(counts, summaries), closing=look == looks)
        if verdict.kind != "inconclusive":
            return upto, verdict.kind == "promote"
    return horizon, False


def _drawn(pool: "Array", count: int, random: "np.random.Generator") -> "Array":
    drawn: Array = pool[random.integers(len(pool), size=count)]
    return drawn


def shifted(
    plan: ExperimentPlan,
    drawn: "Array",
    shift: float,
    random: "np.random.Generator",
    rate: float | None = None,
) -> "Array":
    """Add an effect to outcomes; ones and zeros stay such.

    Args:
        plan: What was decided before.
        drawn: Outcomes, of shape (units, 2): values, and what they are by.
        shift: What is added to their mean.
        random: Of ones and zeros, says which become others.
        rate: Of ones and zeros, the share of ones; the plan's when left out.
    """
    import numpy as np

    values, of = drawn.T
    if plan.metric.kind == "ratio":
        return np.column_stack([values + shift * of, of])
    if plan.metric.kind == "continuous":
        return np.column_stack([values + shift, of])
    ones = values > 0
    rate = plan.metric.baseline if rate is None else rate
    flipped = random.random(len(ones)) < abs(shift) / (1 - rate if shift > 0 else rate)
    return np.column_stack([ones | flipped if shift > 0 else ones & ~flipped, of])


def moments(plan: ExperimentPlan, drawn: "Array") -> Moments | RatioMoments:
    """Take up outcomes, of shape (units, 2)."""
    return ratio(drawn) if plan.metric.kind == "ratio" else _of(drawn[:, 0])


def ratio(drawn: "Array") -> RatioMoments:
    """Take up numerators and denominators, of shape (units, 2)."""
    tops, bottoms = (_of(column) for column in drawn.T)
    apart = drawn - [tops.mean, bottoms.mean]
    return RatioMoments(tops, bottoms, float((apart[:, 0] * apart[:, 1]).sum()))


def _of(values: "Array") -> Moments:
    if not len(values):
        return Moments()
    mean = float(values.mean())
    return Moments(len(values), mean, float(((values - mean) ** 2).sum()))

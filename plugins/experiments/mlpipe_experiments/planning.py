"""How many units an experiment needs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mlpipe_experiments.plan import ExperimentPlan
from mlpipe_experiments.sequential import half_width, tuning


@dataclass(frozen=True, slots=True)
class Size:
    """How large an experiment must be.

    Attributes:
        fixed: Units of all variants, were they looked at once, at the end.
        anytime: The same with looks at any time: what it takes at most. An effect that is larger
            than the smallest one that matters is found earlier.
        days: Days that ``anytime`` takes, where the plan says how many units a day has.
    """

    fixed: int
    anytime: int
    days: float | None


def size(plan: ExperimentPlan) -> Size:
    """Plan an experiment so that it finds its smallest effect as often as its power says."""
    from scipy.stats import norm

    once = float(norm.isf(plan.alpha_of_each / 2))
    # In units of standard errors, half of an interval does not depend on how many units there
    # are, where it is narrowest at just that many.
    always = float(half_width(1.0, tuning(1.0, plan.alpha_of_each), plan.alpha_of_each))
    anytime = _units(plan, always)
    days = anytime / plan.units_a_day if plan.units_a_day else None
    return Size(_units(plan, once), anytime, days)


def planned(plan: ExperimentPlan, treatment: str) -> float:
    """Give the units of control and treatment at which intervals are to be narrowest."""
    both = plan.share(plan.control) + plan.share(treatment)
    return size(plan).anytime * both


def _units(plan: ExperimentPlan, reach: float) -> int:
    from scipy.stats import norm

    needed = (reach + float(norm.ppf(plan.power))) ** 2 / plan.effect**2
    before = plan.metric.baseline
    after = before + plan.sign * plan.effect
    variance: Callable[[float], float] = plan.metric.variance
    return max(
        math.ceil(
            needed
            * (
                variance(before) / plan.share(plan.control)
                + variance(after) / plan.share(treatment)
            )
        )
        for treatment in plan.treatments
    )

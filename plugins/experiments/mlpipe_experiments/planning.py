"""How many units an experiment needs."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from mlpipe_experiments.plan import ExperimentPlan

#: Where intervals are narrowest, as a part of the horizon: decisions before the end come sooner
#: than with 1, and the experiment as a whole loses nothing, as its end has a look of its own.
NARROWEST = 0.5


@dataclass(frozen=True, slots=True)
class Size:
    """How large an experiment must be.

    Attributes:
        fixed: Units of all variants that one test at the end would need with all of ``alpha``.
        horizon: The same for an experiment that may be looked at any time: after so many it ends.
            An effect that is larger than the smallest one that matters is found earlier.
        days: Days that the horizon takes, where the plan says how many units a day has.
    """

    fixed: int
    horizon: int
    days: float | None


def size(plan: ExperimentPlan) -> Size:
    """Plan an experiment so that it finds its smallest effect as often as its power says.

    The look at the end has half of ``alpha`` and suffices for that by itself; whatever looks
    before it find comes on top.
    """
    fixed, enough = (_units(plan, part * plan.alpha_of_part) for part in (2, 1))
    horizon = plan.horizon or enough
    return Size(fixed, horizon, horizon / plan.units_a_day if plan.units_a_day else None)


def planned(plan: ExperimentPlan, treatment: str) -> float:
    """Give the units of control and treatment at which intervals are to be narrowest."""
    both = plan.share(plan.control) + plan.share(treatment)
    return NARROWEST * size(plan).horizon * both


def _units(plan: ExperimentPlan, alpha: float) -> int:
    from scipy.stats import norm

    reach = float(norm.isf(alpha / 2) + norm.ppf(plan.power))
    needed = reach**2 / plan.effect**2
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

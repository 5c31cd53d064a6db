"""What an experiment says now, and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlpipe_experiments.moments import Summary
from mlpipe_experiments.plan import ExperimentPlan, Guardrail
from mlpipe_experiments.planning import planned
from mlpipe_experiments.sequential import Interval, difference, worse
from mlpipe_experiments.splitting import Shares, shares

Kind = Literal["promote", "keep", "inconclusive", "invalid"]


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen of an experiment.

    Attributes:
        assigned: Units that were assigned, by variant; whether or not their outcome is known.
        outcomes: Of the plan's metric, by variant.
        guardrails: Of each guardrail's metric, by variant.
    """

    assigned: Mapping[str, int]
    outcomes: Mapping[str, Summary]
    guardrails: Mapping[str, Mapping[str, Summary]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """A guardrail of a treatment.

    Attributes:
        metric: Its name.
        state: ``ok`` where it is shown to hold, ``breached``, or ``unknown``.
        worse_by: By how much the treatment's mean is larger.
        p: The always-valid p-value that it is within the margin.
    """

    metric: str
    state: Literal["ok", "breached", "unknown"]
    worse_by: float
    p: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do.

    Attributes:
        kind: ``promote`` the ``winner``; ``keep`` the control; ``inconclusive``: wait, or give up;
            ``invalid``: nothing can be concluded.
        reason: Why, in words.
        winner: Of ``promote``, the variant.
        effects: The difference to the control, by treatment.
        guardrails: By treatment.
        shares: Whether units came as planned.
    """

    kind: Kind
    reason: str
    winner: str | None
    effects: Mapping[str, Interval]
    guardrails: Mapping[str, tuple[Checked, ...]]
    shares: Shares


def decide(plan: ExperimentPlan, observed: Observed, *, final: bool = False) -> Verdict:
    """Decide an experiment, at any time, as often as one likes.

    Without any effect, and whatever is looked at when, a treatment is promoted at most as often as
    the plan's ``alpha`` says. No part of it is kept for another test at the end.

    Args:
        plan: What was decided before.
        observed: What was seen since.
        final: Whether this is the last look, after which the experiment ends.
    """
    found = shares(observed.assigned, plan.weights)
    effects = {name: _effect(plan, observed, name) for name in plan.treatments}
    checked = {name: _guardrails(plan, observed, name) for name in plan.treatments}
    kind, reason, winner = _judge(plan, observed, found, effects, checked, final)
    return Verdict(kind, reason, winner, effects, checked, found)


def _effect(plan: ExperimentPlan, observed: Observed, treatment: str) -> Interval:
    before, after = observed.outcomes[plan.control], observed.outcomes[treatment]
    return difference(before, after, plan.alpha_of_each, planned(plan, treatment))


def _guardrails(plan: ExperimentPlan, observed: Observed, treatment: str) -> tuple[Checked, ...]:
    return tuple(_check(plan, each, observed, treatment) for each in plan.guardrails)


def _check(
    plan: ExperimentPlan, guardrail: Guardrail, observed: Observed, treatment: str
) -> Checked:
    seen = observed.guardrails.get(guardrail.metric, {})
    nothing = Summary(0, 0.0, math.inf)
    before, after = (seen.get(name, nothing) for name in (plan.control, treatment))
    alpha = guardrail.alpha / len(plan.treatments)
    over, under = worse(before, after, guardrail.margin, alpha, planned(plan, treatment))
    state: Literal["ok", "breached", "unknown"] = "unknown"
    if over <= alpha:
        state = "breached"
    elif under <= alpha:
        state = "ok"
    return Checked(guardrail.metric, state, after.mean - before.mean, over)


def _judge(
    plan: ExperimentPlan,
    observed: Observed,
    found: Shares,
    effects: Mapping[str, Interval],
    checked: Mapping[str, tuple[Checked, ...]],
    final: bool,
) -> tuple[Kind, str, str | None]:
    if found.mismatch(plan.alpha_of_shares, final=final):
        return "invalid", _shares_text(plan, observed, found), None
    better = {
        name: effect
        for name, effect in effects.items()
        if _signed(plan, effect)[0] > 0 and not _breached(checked[name])
    }
    if better:
        winner = max(better, key=lambda name: plan.sign * better[name].estimate)
        return "promote", _effect_text(plan, winner, effects[winner]), winner
    reasons = {name: _against(plan, name, effects[name], checked[name]) for name in effects}
    if all(reasons.values()):
        return "keep", "; ".join(reasons.values()), None
    open_ = [name for name, reason in reasons.items() if not reason]
    text = "; ".join(_effect_text(plan, name, effects[name]) for name in open_)
    return "inconclusive", f"{text}{'; no more units come' if final else ''}", None


def _against(
    plan: ExperimentPlan, name: str, effect: Interval, checked: tuple[Checked, ...]
) -> str:
    """Say what speaks against a treatment for good, or nothing."""
    for each in checked:
        if each.state == "breached":
            return f"{name}: {each.metric} is worse by {each.worse_by:.4g}, more than its margin"
    _, upper = _signed(plan, effect)
    if upper < plan.effect:
        return f"{_effect_text(plan, name, effect)}: less than {plan.effect:g}, which would matter"
    return ""


def _breached(checked: tuple[Checked, ...]) -> bool:
    return any(each.state == "breached" for each in checked)


def _signed(plan: ExperimentPlan, effect: Interval) -> tuple[float, float]:
    """Give an interval's ends so that more is better."""
    ends = sorted((plan.sign * effect.lower, plan.sign * effect.upper))
    return ends[0], ends[1]


def _effect_text(plan: ExperimentPlan, name: str, effect: Interval) -> str:
    share = 100 * (1 - plan.alpha_of_each)
    return (
        f"{name}: {plan.metric.name} {effect.estimate:+.4g}, "
        f"always-valid {share:.4g} % interval [{effect.lower:+.4g}, {effect.upper:+.4g}]"
    )


def _shares_text(plan: ExperimentPlan, observed: Observed, found: Shares) -> str:
    total = sum(observed.assigned.values())
    parts = ", ".join(
        f"{name} {observed.assigned[name] / total:.4%} of {plan.share(name):.4%}"
        for name in plan.weights
    )
    return f"units did not come as planned: {parts} (p {min(found.p, found.p_fixed):.2g})"

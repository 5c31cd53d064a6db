"""What an experiment says now, and why."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlpipe_experiments.moments import Summary
from mlpipe_experiments.plan import ExperimentPlan, Guardrail
from mlpipe_experiments.planning import planned
from mlpipe_experiments.sequential import Interval, difference, difference_once, worse
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
        closing: Whether this is what the look at the end says.
    """

    kind: Kind
    reason: str
    winner: str | None
    effects: Mapping[str, Interval]
    guardrails: Mapping[str, tuple[Checked, ...]]
    shares: Shares
    closing: bool


def decide(plan: ExperimentPlan, observed: Observed, *, closing: bool = False) -> Verdict:
    """Decide an experiment, at any time, as often as one likes; and once at its end.

    Without any effect, and whatever is looked at when, a treatment is promoted at most as often as
    the plan's ``alpha`` says: half of it goes to all looks while the experiment runs, the other
    half to the closing look.

    Args:
        plan: What was decided before.
        observed: What was seen since.
        closing: Whether this is the look at the end: at just the units of the plan's horizon, no
            matter what was seen before.
    """
    found = shares(observed.assigned, plan.weights)
    effects = {name: _effect(plan, observed, name, closing) for name in plan.treatments}
    checked = {name: _guardrails(plan, observed, name) for name in plan.treatments}
    kind, reason, winner = _judge(plan, observed, found, effects, checked, closing)
    return Verdict(kind, reason, winner, effects, checked, found, closing)


def _effect(plan: ExperimentPlan, observed: Observed, treatment: str, closing: bool) -> Interval:
    before, after = observed.outcomes[plan.control], observed.outcomes[treatment]
    if closing:
        return difference_once(before, after, plan.alpha_of_part)
    return difference(before, after, plan.alpha_of_part, planned(plan, treatment))


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
    closing: bool,
) -> tuple[Kind, str, str | None]:
    if found.mismatch(plan.alpha_of_shares, final=closing):
        return "invalid", _shares_text(plan, observed, found), None
    texts = {name: _effect_text(plan, effect, closing) for name, effect in effects.items()}
    better = {
        name: effect
        for name, effect in effects.items()
        if _signed(plan, effect)[0] > 0 and not _breached(checked[name])
    }
    if better:
        winner = max(better, key=lambda name: plan.sign * better[name].estimate)
        return "promote", f"{winner}: {texts[winner]}", winner
    against = {name: _against(plan, texts[name], effects[name], checked[name]) for name in effects}
    if all(against.values()):
        return "keep", "; ".join(f"{name}: {why}" for name, why in against.items()), None
    open_ = "; ".join(f"{name}: {texts[name]}" for name, why in against.items() if not why)
    return "inconclusive", f"{open_}{'; this was the last look' if closing else ''}", None


def _against(
    plan: ExperimentPlan, text: str, effect: Interval, checked: tuple[Checked, ...]
) -> str:
    """Say what speaks against a treatment for good, or nothing."""
    for each in checked:
        if each.state == "breached":
            return f"{each.metric} is worse by {each.worse_by:.4g}, more than its margin"
    _, upper = _signed(plan, effect)
    return f"{text}: less than {plan.effect:g}, which would matter" if upper < plan.effect else ""


def _breached(checked: tuple[Checked, ...]) -> bool:
    return any(each.state == "breached" for each in checked)


def _signed(plan: ExperimentPlan, effect: Interval) -> tuple[float, float]:
    """Give an interval's ends so that more is better."""
    ends = sorted((plan.sign * effect.lower, plan.sign * effect.upper))
    return ends[0], ends[1]


def _effect_text(plan: ExperimentPlan, effect: Interval, closing: bool) -> str:
    share = 100 * (1 - plan.alpha_of_part)
    kind = "closing" if closing else "always-valid"
    return (
        f"{plan.metric.name} {effect.estimate:+.4g}, "
        f"{kind} {share:.4g} % interval [{effect.lower:+.4g}, {effect.upper:+.4g}]"
    )


def _shares_text(plan: ExperimentPlan, observed: Observed, found: Shares) -> str:
    total = sum(observed.assigned.values())
    parts = ", ".join(
        f"{name} {observed.assigned[name] / total:.4%} of {plan.share(name):.4%}"
        for name in plan.weights
    )
    return f"units did not come as planned: {parts} (p {min(found.p, found.p_fixed):.2g})"

"""What commands say of experiments."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mlpipe_experiments.joining import Joined
from mlpipe_experiments.keeping import Experiment
from mlpipe_experiments.plan import ExperimentPlan
from mlpipe_experiments.planning import size
from mlpipe_experiments.verdict import Checked, Verdict

_DAY = 86_400


def plan_lines(plan: ExperimentPlan) -> list[str]:
    """Say what was decided before, and how many units it takes."""
    metric, needed = plan.metric, size(plan)
    days = f", {needed.days:.1f} days" if needed.days is not None else ""
    about = f"{metric.name} ({metric.kind}, {metric.direction} is better)"
    return [
        f"{about}: {metric.baseline:g} now, {plan.effect:g} would matter",
        f"alpha {plan.alpha:g} · power {plan.power:g} · {_split(plan)}",
        f"  looked at any time  at most {needed.anytime:,} units{days}",
        f"  once, at the end    {needed.fixed:,} units",
    ]


def status_lines(experiment: Experiment, joined: Joined, verdict: Verdict) -> list[str]:
    """Say how an experiment stands."""
    plan, units = experiment.plan, sum(joined.observed.assigned.values())
    lines = [f"{experiment.name}  {_time(joined)}{units:,} of at most {size(plan).anytime:,} units"]
    lines.append(f"  split       {_came(plan, joined)}  {_shares(plan, verdict)}")
    for name, effect in verdict.effects.items():
        means = joined.observed.outcomes
        reach = f"[{effect.lower:+.4g}, {effect.upper:+.4g}]"
        lines.append(
            f"  {plan.metric.name}  {plan.control} {means[plan.control].mean:.4g}   "
            f"{name} {means[name].mean:.4g}   {effect.estimate:+.4g}   always-valid {reach}"
        )
        lines += [f"  {line}" for line in _guardrails(name, verdict.guardrails[name])]
    if joined.mixed:
        lines.append(f"  left out    {joined.mixed:,} units that several variants answered")
    if joined.strange:
        lines.append(f"  left out    {joined.strange:,} outcomes of units that made no request")
    lines.append(f"verdict: {verdict.kind}  {verdict.reason}")
    return lines


def facts(experiment: Experiment, joined: Joined, verdict: Verdict) -> dict[str, Any]:
    """Give the same for machines."""
    return {
        "name": experiment.name,
        "since": experiment.since,
        "plan": experiment.plan.model_dump(mode="json"),
        "digest": experiment.plan.digest(),
        "units": dict(joined.observed.assigned),
        "mixed": joined.mixed,
        "strange": joined.strange,
        "means": {name: each.mean for name, each in joined.observed.outcomes.items()},
        "verdict": _finite(asdict(verdict)),
    }


def _time(joined: Joined) -> str:
    if joined.first is None or joined.last is None:
        return "no requests yet · "
    return f"day {math.floor((joined.last - joined.first) / _DAY) + 1} · "


def _split(plan: ExperimentPlan) -> str:
    return " · ".join(f"{name} {100 * plan.share(name):.4g} %" for name in plan.weights)


def _came(plan: ExperimentPlan, joined: Joined) -> str:
    total = sum(joined.observed.assigned.values()) or 1
    return " · ".join(
        f"{name} {100 * joined.observed.assigned[name] / total:.4g} %" for name in plan.weights
    )


def _shares(plan: ExperimentPlan, verdict: Verdict) -> str:
    return "MISMATCH" if verdict.kind == "invalid" else f"(planned {_split(plan)}: ok)"


def _guardrails(name: str, checked: tuple[Checked, ...]) -> list[str]:
    return [f"{each.metric}  {name} {each.worse_by:+.4g}  {each.state}" for each in checked]


def _finite(value: Any) -> Any:
    """Write what JSON has no number for as nothing."""
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""What commands say of experiments."""

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mlpipe_experiments.deciding import Standing
from mlpipe_experiments.keeping import Ending, Experiment
from mlpipe_experiments.plan import ExperimentPlan
from mlpipe_experiments.planned import Traffic
from mlpipe_experiments.planning import size
from mlpipe_experiments.replaying import Replayed
from mlpipe_experiments.simulating import Simulated
from mlpipe_experiments.verdict import Checked, Observed, Verdict

_DAY = 86_400


def plan_lines(plan: ExperimentPlan) -> list[str]:
    """Say what was decided before, and how many units it takes."""
    metric, needed = plan.metric, size(plan)
    about = f"{metric.name} ({metric.kind}, {metric.direction} is better)"
    query = plan.outcomes
    return [
        f"{about}: {metric.baseline:g} now, {plan.effect:g} would matter",
        f"alpha {plan.alpha:g} · power {plan.power:g} · {_split(plan)}",
        f"ends after {takes(plan)}; may be looked at, and decided, at any time before",
        f"  a single test at the end alone would need {needed.fixed:,}",
        *([f"outcomes from {query.database}: {' '.join(query.sql.split())}"] if query else []),
    ]


def takes(plan: ExperimentPlan) -> str:
    """Say how many units an experiment takes, and how many days."""
    needed = size(plan)
    days = f", {needed.days:.1f} days" if needed.days is not None else ""
    return f"{needed.horizon:,} units{days}"


def status_lines(experiment: Experiment, found: Standing) -> list[str]:
    """Say how an experiment stands."""
    plan, observed, verdict = experiment.plan, found.observed, found.verdict
    units = len(found.joined.units)
    lines = [f"{experiment.name}  {_time(found)}{units:,} of at most {found.size.horizon:,} units"]
    lines.append(f"  split       {_came(plan, observed)}  {_shares(plan, verdict)}")
    for name, effect in verdict.effects.items():
        means = observed.outcomes
        kind = "closing" if verdict.closing else "always-valid"
        lines.append(
            f"  {plan.metric.name}  {plan.control} {means[plan.control].mean:.4g}   "
            f"{name} {means[name].mean:.4g}   {effect.estimate:+.4g}   "
            f"{kind} [{effect.lower:+.4g}, {effect.upper:+.4g}]"
        )
        lines += [f"  {line}" for line in _guardrails(name, verdict.guardrails[name])]
    if found.joined.mixed:
        lines.append(f"  left out    {found.joined.mixed:,} units that several variants answered")
    if found.joined.strange:
        lines.append(f"  left out    {found.joined.strange:,} outcomes of units without a request")
    if experiment.ending is not None:
        return [*lines, *ending_lines(experiment, experiment.ending)]
    lines.append(f"verdict: {verdict.kind}  {verdict.reason}")
    return [*lines, *_next(experiment, found)]


def ending_lines(experiment: Experiment, ending: Ending) -> list[str]:
    """Say how an experiment ended, and what comes next."""
    lines = [f"ended: {ending.kind}  {ending.reason}"]
    return [*lines, f"  {experiment.promoting}"] if ending.winner else lines


def _next(experiment: Experiment, found: Standing) -> list[str]:
    """Say which command comes next, once there is one."""
    if found.verdict.kind != "inconclusive" or not found.missing:
        return [f"  mlpipe ab decide {experiment.name}"]
    return []


def simulated_lines(
    plan: ExperimentPlan, nothing: Simulated, some: Simulated, effect: float
) -> list[str]:
    """Say what became of simulated experiments without an effect, and with one."""
    most, found = 100 * plan.alpha / 2, plan.sign * effect
    planned = f" (planned: {100 * plan.power:.3g} %)" if effect == plan.effect else ""
    upto = f"at most {size(plan).horizon:,} units each, drawn from those of {plan.control}"
    wrong = f"{100 * nothing.promoted:.3g} % promote a treatment (planned: at most {most:.3g} %)"
    right = f"{100 * some.promoted:.3g} % do{planned}"
    return [
        f"{nothing.experiments:,} experiments of {upto}",
        f"  without any effect  {wrong}",
        f"  with {found:+g}  {right}, half of all after {some.units:,} units",
    ]


def replayed_lines(
    plan: ExperimentPlan, traffic: Traffic, nothing: Replayed, some: Replayed, effect: float
) -> list[str]:
    """Say what became of a plan replayed on traffic without an effect, and with one."""
    metric, units = plan.metric, f"{len(traffic.units):,} recorded units of {traffic.variant}"
    upto = f"on {size(plan).horizon:,} of {units}"
    wrong = f"{_rate(nothing)} promote a treatment (planned: at most {50 * plan.alpha:.3g} %)"
    planned = f" (planned: {100 * plan.power:.3g} %)" if effect == plan.effect else ""
    right = f"{_rate(some)} do{planned}, half of all after {some.units:,} units"
    return [
        f"{nothing.replays:,} replays {upto}, split anew each time",
        f"  {metric.name}  {nothing.baseline:.4g} here (planned: {metric.baseline:g})",
        f"  without any effect  {wrong}",
        f"  with {plan.sign * effect:+g}  {right}",
    ]


def _rate(found: Replayed) -> str:
    low, high = (100 * bound for bound in found.bounds)
    return f"{100 * found.share:.3g} % [{low:.3g}, {high:.3g}]"


def facts(experiment: Experiment, found: Standing) -> dict[str, Any]:
    """Give how an experiment stands for machines."""
    return {
        "name": experiment.name,
        "since": experiment.since,
        "plan": experiment.plan.model_dump(mode="json"),
        "digest": experiment.plan.digest(),
        "horizon": found.size.horizon,
        "units": dict(found.observed.assigned),
        "mixed": found.joined.mixed,
        "strange": found.joined.strange,
        "means": {name: each.mean for name, each in found.observed.outcomes.items()},
        "verdict": _finite(asdict(found.verdict)),
        "ending": asdict(experiment.ending) if experiment.ending else None,
    }


def _time(found: Standing) -> str:
    units = found.joined.units
    if not units:
        return "no requests yet · "
    return f"day {math.floor((units[-1].arrived - units[0].arrived) / _DAY) + 1} · "


def _split(plan: ExperimentPlan) -> str:
    return " · ".join(f"{name} {100 * plan.share(name):.4g} %" for name in plan.weights)


def _came(plan: ExperimentPlan, observed: Observed) -> str:
    total = sum(observed.assigned.values()) or 1
    return " · ".join(
        f"{name} {100 * observed.assigned[name] / total:.4g} %" for name in plan.weights
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

"""Holding results against gates, and saying in a few words what a stage made."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpipe.plan.values import PlannedStage
from mlpipe.recipe.gates import Gate, parse_gate
from mlpipe.recipe.load import LoadedRecipe, LoadedStage
from mlpipe.store.results import Record
from mlpipe.store.runs import StageState


@dataclass(frozen=True, slots=True)
class Judgement:
    """How a result stands to its stage's gates.

    Attributes:
        missed: For each gate that it misses: ``metric``, ``bound``, ``value``, ``shortfall``,
            ``notify`` and ``run``.
        error: A gate's metric was not reported: ``what``, ``where``, ``fix``.
    """

    missed: tuple[Mapping[str, Any], ...] = ()
    error: dict[str, Any] | None = None


def judge(stage: LoadedStage, record: Record, recipe: LoadedRecipe) -> Judgement:
    """Hold a result against its stage's gates."""
    missed = []
    for gate in stage.gates:
        if gate.metric not in record.metrics:
            return Judgement(error=_unreported(stage, record, gate.metric, recipe))
        value = record.metrics[gate.metric]
        if gate.missed(value) is not None:
            missed.append(_facts(stage, gate, value))
    return Judgement(tuple(missed))


def own_gate(
    stage: LoadedStage, metric: str, bound: str, value: float
) -> tuple[dict[str, Any], str]:
    """Say how a stage missed a bound of its own: the facts of ``gate_failed``, and in words."""
    try:
        gate = parse_gate(metric, bound)
    except ValueError:  # a bound in the plugin's own words
        gate = Gate(metric, "==", math.nan)
        facts = {**_facts(stage, gate, value), "bound": bound}
        return facts, f"{metric} {value:.4g}, wanted {bound}"
    return _facts(stage, gate, value), gate.text(value)


def _facts(stage: LoadedStage, gate: Gate, value: float) -> dict[str, Any]:
    told = stage.spec.on_gate_failure
    return {
        "metric": gate.metric,
        "bound": gate.bound_text,
        "value": value,
        "shortfall": gate.missed(value),
        "notify": list(told.notify) if told else [],
        "run": told.run if told else None,
    }


def _unreported(
    stage: LoadedStage, record: Record, metric: str, recipe: LoadedRecipe
) -> dict[str, Any]:
    known = ", ".join(record.metrics) or "none"
    problem = recipe.source.problem(
        ("stages", stage.name, "gate", metric),
        f'the stage reported no metric "{metric}" to bound',
        f"Its metrics: {known}.",
        key=True,
    )
    where = f"{problem.place}: {problem.path}:"
    return {"what": problem.message, "where": where, "fix": problem.hint}


def describe(planned: PlannedStage, state: StageState, record: Record | None) -> str:
    """Say what a stage made: its gates, its summary, or its first metrics."""
    if record is None:
        return planned.reason if state is StageState.SKIPPED else ""
    if planned.stage.gates and state is not StageState.FAILED:
        return " · ".join(gate.text(record.metrics[gate.metric]) for gate in planned.stage.gates)
    if state in (StageState.CACHED, StageState.IN_PLACE):
        return planned.reason
    if record.summary:
        return record.summary
    shown = list(record.metrics.items())[:3]
    return " · ".join(f"{name} {value:.4g}" for name, value in shown)

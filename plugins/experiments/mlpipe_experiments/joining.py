"""From invocations and outcomes to what the tests see."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpipe_experiments.keeping import Experiment
from mlpipe_experiments.moments import Moments, RatioMoments, Summary
from mlpipe_experiments.plan import ExperimentPlan
from mlpipe_experiments.verdict import Observed

#: Guardrails that invocations answer by themselves.
ERROR_RATE, LATENCY = "error_rate", "latency"
#: SageMaker Runtime's status for what a model refused or broke.
_MODEL_ERROR = 424


@dataclass(slots=True)
class _Unit:
    """What is known of a unit."""

    variant: str
    requests: int = 0
    failed: int = 0
    slow: int = 0
    value: float = 0.0
    of: float = 0.0


@dataclass(frozen=True, slots=True)
class Joined:
    """An experiment's data.

    Attributes:
        observed: What the tests see.
        mixed: Units that more than one variant answered. They are in no variant's numbers.
        strange: Outcomes of units that no request is known of.
        first: Unix time of the first request, or ``None``.
        last: And of the last one.
    """

    observed: Observed
    mixed: int = 0
    strange: int = 0
    first: float | None = None
    last: float | None = None


@dataclass(slots=True)
class _Reading:
    plan: ExperimentPlan
    units: dict[str, _Unit] = field(default_factory=dict)
    mixed: set[str] = field(default_factory=set)
    by_request: dict[str, str] = field(default_factory=dict)
    first: float | None = None
    last: float | None = None

    def take(self, record: Mapping[str, Any]) -> None:
        unit = str(record.get("key") or record["id"])
        variant = str(record["variant"])
        known = self.units.setdefault(unit, _Unit(variant))
        if known.variant != variant:
            self.mixed.add(unit)
        known.requests += 1
        known.failed += record["status"] >= 500 or record["status"] == _MODEL_ERROR
        limit = _limit(self.plan)
        known.slow += limit is not None and record["latency"] > limit
        for name in ("id", "inference"):
            if record.get(name):
                self.by_request[str(record[name])] = unit
        when = float(record["time"])
        self.first = when if self.first is None else min(self.first, when)
        self.last = when if self.last is None else max(self.last, when)


def join(experiment: Experiment) -> Joined:
    """Read an experiment's invocations and outcomes.

    An invocation counts when it came after the beginning and its variant was not named by the
    caller. A unit is the key that it was assigned by, else the request itself. An outcome belongs
    to a unit by the hash of its key, by the request's id, or by the caller's own inference id; a
    unit without any has the outcome 0.
    """
    reading = _Reading(experiment.plan)
    for record in _records(experiment):
        reading.take(record)
    strange = 0
    for outcome in experiment.outcomes():
        unit = reading.units.get(reading.by_request.get(outcome.unit, outcome.unit))
        if unit is None:
            strange += 1
        else:
            unit.value += outcome.value
            unit.of += outcome.of
    for mixed in reading.mixed:
        del reading.units[mixed]
    observed = _observed(experiment.plan, reading)
    return Joined(observed, len(reading.mixed), strange, reading.first, reading.last)


def _records(experiment: Experiment) -> Iterator[Mapping[str, Any]]:
    if not experiment.records.exists():
        return
    with experiment.records.open() as file:
        for line in file:
            if not line.endswith("\n"):  # is being written
                return
            record = json.loads(line)
            counts = record["time"] >= experiment.since and not record["targeted"]
            if counts and record["variant"] in experiment.plan.weights:
                yield record


def _observed(plan: ExperimentPlan, reading: _Reading) -> Observed:
    by_variant: dict[str, list[_Unit]] = {name: [] for name in plan.weights}
    for unit in reading.units.values():
        by_variant[unit.variant].append(unit)
    guardrails = {
        guardrail.metric: {
            name: RatioMoments.of(
                (each.failed if guardrail.metric == ERROR_RATE else each.slow, each.requests)
                for each in units
            ).summary()
            for name, units in by_variant.items()
        }
        for guardrail in plan.guardrails
        if guardrail.metric in (ERROR_RATE, LATENCY)
    }
    return Observed(
        {name: len(units) for name, units in by_variant.items()},
        {name: _summary(plan, units) for name, units in by_variant.items()},
        guardrails,
    )


def _summary(plan: ExperimentPlan, units: list[_Unit]) -> Summary:
    if plan.metric.kind == "ratio":
        return RatioMoments.of((each.value, each.of) for each in units).summary()
    if plan.metric.kind == "binary":
        return Moments.of(float(each.value > 0) for each in units).summary()
    return Moments.of(each.value for each in units).summary()


def _limit(plan: ExperimentPlan) -> float | None:
    return next((each.seconds for each in plan.guardrails if each.metric == LATENCY), None)

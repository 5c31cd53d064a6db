"""From invocations and outcomes to units."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlpipe_experiments.keeping import Experiment, Outcome
from mlpipe_experiments.plan import LATENCY, ExperimentPlan

#: SageMaker Runtime's status for what a model refused or broke.
_MODEL_ERROR = 424


@dataclass(slots=True)
class Unit:
    """What is known of a unit.

    Attributes:
        variant: Which one answered it.
        arrived: Unix time of its first request, in seconds.
        requests: How many it made.
        failed: How many of them failed.
        slow: How many took longer than the latency's limit.
        value: Sum of its outcomes; of a ratio, of the numerators.
        of: Of a ratio, sum of the denominators.
    """

    variant: str
    arrived: float
    requests: int = 0
    failed: int = 0
    slow: int = 0
    value: float = 0.0
    of: float = 0.0


@dataclass(frozen=True, slots=True)
class Joined:
    """An experiment's data.

    Attributes:
        units: In the order in which they came.
        mixed: Units that more than one variant answered; they are left out.
        strange: Outcomes of units that no request is known of; they are left out as well.
    """

    units: Sequence[Unit]
    mixed: int = 0
    strange: int = 0


@dataclass(slots=True)
class _Reading:
    plan: ExperimentPlan
    units: dict[str, Unit] = field(default_factory=dict)
    mixed: set[str] = field(default_factory=set)
    by_request: dict[str, str] = field(default_factory=dict)

    def take(self, record: Mapping[str, Any]) -> None:
        unit = str(record.get("key") or record["id"])
        variant = str(record["variant"])
        known = self.units.setdefault(unit, Unit(variant, float(record["time"])))
        if known.variant != variant:
            self.mixed.add(unit)
        known.requests += 1
        known.failed += record["status"] >= 500 or record["status"] == _MODEL_ERROR
        limit = _limit(self.plan)
        known.slow += limit is not None and record["latency"] > limit
        for name in ("id", "inference"):
            if record.get(name):
                self.by_request[str(record[name])] = unit


def join(experiment: Experiment) -> Joined:
    """Read an experiment's invocations and outcomes.

    An invocation counts when it came while the experiment ran and its variant was not named by the
    caller; what a shadow variant answered does not, as nobody saw it. A unit is the key that it was
    assigned by, else the request itself. An outcome belongs to a unit by the hash of its key, by
    the request's id, or by the caller's own inference id; a unit without any has the outcome 0.
    """
    plan = experiment.plan
    records = (
        record
        for record in answered(experiment.records)
        if experiment.covers(record["time"]) and record["variant"] in plan.weights
    )
    return joined(plan, records, experiment.outcomes())


def joined(
    plan: ExperimentPlan, records: Iterable[Mapping[str, Any]], outcomes: Iterable[Outcome]
) -> Joined:
    """Join invocations and outcomes; see ``join``."""
    reading = _Reading(plan)
    for record in records:
        reading.take(record)
    strange = 0
    for outcome in outcomes:
        unit = reading.units.get(reading.by_request.get(outcome.unit, outcome.unit))
        if unit is None:
            strange += 1
        else:
            unit.value += outcome.value
            unit.of += outcome.of
    whole = [unit for name, unit in reading.units.items() if name not in reading.mixed]
    return Joined(sorted(whole, key=lambda each: each.arrived), len(reading.mixed), strange)


def answered(path: Path) -> Iterator[Mapping[str, Any]]:
    """Give the records of invocations that callers were answered by variants they did not choose.

    Args:
        path: Their file; there may be none yet.
    """
    if not path.exists():
        return
    with path.open() as file:
        for line in file:
            if not line.endswith("\n"):  # is being written
                return
            record = json.loads(line)
            if not record["targeted"] and not record.get("shadow", False):
                yield record


def _limit(plan: ExperimentPlan) -> float | None:
    return next((each.seconds for each in plan.guardrails if each.metric == LATENCY), None)

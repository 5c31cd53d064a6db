"""Experiments that a recipe plans, before they begin; and the traffic that they would have had."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from mlpipe import Target, UserError
from mlpipe_experiments.joining import Unit, answered, joined
from mlpipe_experiments.keeping import Outcome
from mlpipe_experiments.plan import ExperimentPlan
from mlpipe_experiments.reading import file_outcomes, query_outcomes


@runtime_checkable
class Experimenting(Protocol):
    """Settings of a stage that serves variants, and may begin an experiment between them.

    Attributes:
        endpoint: What experiments are named by.
    """

    endpoint: str

    @property
    def plan(self) -> ExperimentPlan | None:
        """What is decided before, where there is an experiment."""
        ...

    def recorded(self, target: Target, root: Path) -> tuple[Path, str]:
        """Give the file of invocations, and the salt that their keys are hashed with."""
        ...


@dataclass(frozen=True, slots=True)
class Planned:
    """An experiment that has not begun.

    Attributes:
        plan: What is decided before.
        root: The project's folder.
        records: The file of what was answered so far.
        salt: That keys in it are hashed with.
    """

    plan: ExperimentPlan
    root: Path
    records: Path
    salt: str


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one variant answered.

    Attributes:
        variant: Its name.
        units: In the order in which they came, with their outcomes.
        salt: That their keys are hashed with.
        where: The file that they are from.
    """

    variant: str
    units: Sequence[Unit]
    salt: str
    where: Path


def find(name: str, recipe: str, target: str | None = None) -> Planned:
    """Find the experiment that a recipe plans.

    Args:
        name: What it is on, as an endpoint.
        recipe: The recipe's name or path.
        target: Where it would run.

    Raises:
        UserError: The recipe plans none there.
    """
    import mlpipe

    loaded = mlpipe.load_recipe(recipe, target=target)
    configs: list[object] = [stage.config for stage in loaded.stages.values()]
    serving = [each for each in configs if isinstance(each, Experimenting)]
    for config in serving:
        plan = config.plan
        if config.endpoint == name and plan is not None:
            return Planned(plan, loaded.root, *config.recorded(loaded.target, loaded.root))
    known = ", ".join(each.endpoint for each in serving if each.plan is not None)
    raise UserError(
        f'the recipe plans no experiment on "{name}"',
        where=str(loaded.path),
        fix=f"It plans one on: {known}." if known else "Give endpoint.deploy an  experiment:",
    )


def traffic(planned: Planned, file: Path | None = None) -> Traffic:
    """Read what one variant answered before: the control, or who answered most.

    Args:
        planned: The experiment.
        file: Outcomes; by the plan's query when left out.

    Raises:
        UserError: Nothing was recorded, or nothing says what became of it.
    """
    counts: dict[str, int] = {}
    first = None
    for record in answered(planned.records):
        counts[record["variant"]] = counts.get(record["variant"], 0) + 1
        first = record["time"] if first is None else min(first, record["time"])
    if first is None:
        raise UserError(
            "no traffic was recorded that the plan could be tried on",
            where=str(planned.records),
            fix="Deploy the endpoint with the model in service, and let it answer requests.",
        )
    control = planned.plan.control
    variant = control if control in counts else max(counts, key=lambda each: counts[each])
    records = (each for each in answered(planned.records) if each["variant"] == variant)
    found = joined(planned.plan, records, _outcomes(planned, file, first))
    if found.strange and not any(unit.value or unit.of for unit in found.units):
        raise UserError(
            f"none of {found.strange:,} outcomes is of a unit that {variant} answered",
            where=str(planned.records),
            fix="See that they have the keys of its requests, or their ids. Keys that were "
            "recorded with another salt are not known again.",
        )
    return Traffic(variant, found.units, planned.salt, planned.records)


def _outcomes(planned: Planned, file: Path | None, since: float) -> Iterable[Outcome]:
    plan, query = planned.plan, planned.plan.outcomes
    if file is not None:
        return file_outcomes(file, plan, planned.salt)
    if query is not None:
        return query_outcomes(query, planned.root, since, plan, planned.salt)
    raise UserError(
        "nothing says what became of those who were answered",
        where=str(planned.records),
        fix="Name a file of outcomes: --file. Or give the experiment  outcomes: {sql: …}",
    )

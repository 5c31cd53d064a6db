"""Making a plan: every stage judged, in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from mlpipe.errors import UserError
from mlpipe.plan.assess import Assessor
from mlpipe.plan.values import Plan, PlannedStage, Verdict
from mlpipe.recipe.load import LoadedRecipe, LoadedStage


@dataclass(frozen=True, slots=True)
class Selection:
    """Which stages the command line asks for.

    Attributes:
        only: These alone.
        start: These and all that depend on them (``--from``).
        until: These and all that they depend on.
    """

    only: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    until: tuple[str, ...] = ()

    def chosen(self, recipe: LoadedRecipe) -> frozenset[str]:
        """Give the names of the stages asked for.

        Raises:
            UserError: A name is no stage of the recipe.
        """
        for name in (*self.only, *self.start, *self.until):
            if name not in recipe.stages:
                known = ", ".join(recipe.stages)
                raise UserError(f'there is no stage "{name}"', fix=f"Stages: {known}.")
        chosen = frozenset(recipe.stages)
        if self.only:
            chosen &= frozenset(self.only)
        if self.start:
            downstream = _downstream(recipe.stages)
            chosen &= _reach(self.start, downstream)
        if self.until:
            chosen &= _reach(
                self.until, {name: stage.upstream for name, stage in recipe.stages.items()}
            )
        return chosen


def make(assessor: Assessor, selection: Selection | None = None) -> Plan:
    """Make a plan.

    A stage whose result is known but whose bytes are not on this machine is a hit as long as
    no stage that runs needs those bytes; hence the repetition.

    Args:
        assessor: Judges each stage.
        selection: Which stages are asked for; all when left out.

    Raises:
        UserError: A stage that is asked for needs one that is not and has no result.
    """
    recipe = assessor.recipe
    chosen = (selection or Selection()).chosen(recipe)
    demanded: dict[str, str] = {}
    while True:
        stages = _pass(assessor, chosen, demanded)
        more = _demands(stages.values(), stages)
        if not more:
            return Plan(recipe, stages)
        demanded.update(more)


def _pass(
    assessor: Assessor, chosen: frozenset[str], demanded: Mapping[str, str]
) -> dict[str, PlannedStage]:
    stages: dict[str, PlannedStage] = {}
    skipped: frozenset[str] = frozenset()
    wanted = _wanted(assessor.recipe, chosen)
    for name, stage in assessor.recipe.stages.items():
        if name not in wanted:
            stages[name] = PlannedStage(stage, Verdict.LEFT_OUT, "not asked for")
            continue
        records = {each: stages[each].record for each in stage.upstream}
        planned = assessor.assess(stage, records, skipped)
        if name not in chosen:
            planned = _left_out(assessor, planned)
        elif name in demanded and planned.verdict is Verdict.CACHED:
            planned = replace(planned, verdict=Verdict.RUN, record=None, reason=demanded[name])
        if planned.verdict is Verdict.SKIPPED:
            skipped |= {name}
        stages[name] = planned
    return stages


def _wanted(recipe: LoadedRecipe, chosen: frozenset[str]) -> frozenset[str]:
    """Give the chosen stages and all that they depend on, at any distance."""
    return _reach(chosen, {name: stage.upstream for name, stage in recipe.stages.items()})


def _left_out(assessor: Assessor, planned: PlannedStage) -> PlannedStage:
    if planned.verdict in (Verdict.CACHED, Verdict.IN_PLACE, Verdict.SKIPPED):
        return replace(planned, verdict=Verdict.LEFT_OUT)
    record = assessor.latest(planned.name)
    if record is None:
        recipe = assessor.recipe.name
        raise UserError(
            f'stage "{planned.name}" was not asked for, is needed, and has no result yet',
            fix=f"Run it first: mlpipe run {recipe} --until {planned.name}",
        )
    warning = f"{planned.name}: the result of run {record.run} is used; it is out of date"
    return replace(
        planned,
        verdict=Verdict.LEFT_OUT,
        reason=f"result of run {record.run}, out of date",
        record=record,
        warnings=(warning,),
    )


def _demands(planned: Iterable[PlannedStage], stages: Mapping[str, PlannedStage]) -> dict[str, str]:
    """Give the hits whose absent bytes a stage that runs will ask for, each with the reason."""
    demands = {}
    for each in planned:
        if each.verdict is not Verdict.RUN:
            continue
        for producer, output in each.stage.inputs.values():
            upstream = stages[producer]
            if upstream.verdict is Verdict.CACHED and output in upstream.absent:
                demands[producer] = f"its output {output} is not here, and {each.name} needs it"
    return demands


def _downstream(stages: Mapping[str, LoadedStage]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = dict.fromkeys(stages, ())
    for name, stage in stages.items():
        for upstream in stage.upstream:
            found[upstream] += (name,)
    return found


def _reach(start: Iterable[str], edges: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting.extend(edges[name])
    return frozenset(reached)

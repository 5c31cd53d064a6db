"""``mlpipe plan``."""

from typing import Annotated, Any

import typer

from mlpipe.cli.common import (
    JsonOption,
    ParamsOption,
    RecipeArgument,
    SetOption,
    TargetOption,
    load_recipe,
)
from mlpipe.console import Console, columns
from mlpipe.engine.session import session
from mlpipe.plan.make import Selection, make
from mlpipe.plan.values import Plan, PlannedStage

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def plan(
    recipe: RecipeArgument,
    target: TargetOption = None,
    assignments: SetOption = None,
    params: ParamsOption = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="STAGE")] = None,
    start: Annotated[list[str] | None, typer.Option("--from", metavar="STAGE")] = None,
    until: Annotated[list[str] | None, typer.Option("--until", metavar="STAGE")] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look at sources and services outside.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every byte of cached outputs again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would do, stage by stage, and why. Changes nothing."""
    loaded = load_recipe(recipe, target, assignments, params)
    selection = Selection(tuple(only or ()), tuple(start or ()), tuple(until or ()))
    with session(
        loaded.recipe, loaded.plugins, read_only=True, offline=offline, verify=verify
    ) as opened:
        made = make(opened.assessor, selection)
    console = Console()
    if as_json:
        console.json([_facts(each) for each in made.stages.values()])
        return
    for warning in made.warnings:
        console.err(f"! {warning}")
    for line in _lines(made):
        console.out(line)


def _lines(made: Plan) -> list[str]:
    rows = [(each.name, str(each.verdict), each.reason) for each in made.stages.values()]
    lines = []
    for line, planned in zip(columns(rows), made.stages.values(), strict=True):
        lines.append(line)
        lines.extend(f"              {action.summary}" for action in planned.actions)
    return lines


def _facts(planned: PlannedStage) -> dict[str, Any]:
    return {
        "stage": planned.name,
        "uses": planned.stage.spec.uses,
        "verdict": planned.verdict,
        "reason": planned.reason,
        "changes": [str(change) for change in planned.changes],
        "actions": [action.summary for action in planned.actions],
        "fingerprint": planned.fingerprint,
        "run": planned.record.run if planned.record else None,
    }

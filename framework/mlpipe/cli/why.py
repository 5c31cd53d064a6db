"""``mlpipe why``."""

import typer

from mlpipe.cli.common import (
    JsonOption,
    ParamsOption,
    RecipeArgument,
    SetOption,
    TargetOption,
    load_recipe,
)
from mlpipe.console import Console
from mlpipe.engine.session import session
from mlpipe.errors import UserError
from mlpipe.plan.make import Selection, make
from mlpipe.plan.values import PlannedStage, Verdict

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def why(
    recipe: RecipeArgument,
    stage: str = typer.Argument(metavar="STAGE", help="A stage of the recipe."),
    target: TargetOption = None,
    assignments: SetOption = None,
    params: ParamsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what changed since a stage's newest result, or which run a hit is from."""
    loaded = load_recipe(recipe, target, assignments, params)
    if stage not in loaded.recipe.stages:
        raise UserError(
            f'there is no stage "{stage}"', fix=f"Stages: {', '.join(loaded.recipe.stages)}."
        )
    with session(loaded.recipe, loaded.plugins, read_only=True) as opened:
        planned = make(opened.assessor, Selection(until=(stage,))).stages[stage]
    console = Console()
    if as_json:
        changes = [str(change) for change in planned.changes]
        facts = {"stage": stage, "verdict": planned.verdict, "reason": planned.reason}
        console.json({**facts, "changes": changes})
        return
    for line in _explain(planned):
        console.out(line)


def _explain(planned: PlannedStage) -> list[str]:
    if planned.verdict is Verdict.CACHED and planned.record is not None:
        return [f"{planned.name} is cached: nothing changed since run {planned.record.run}"]
    if planned.verdict is Verdict.RUN:
        reasons = [str(change) for change in planned.changes] or [planned.reason]
        return [f"{planned.name} runs because", *(f"  {reason}" for reason in reasons)]
    return [f"{planned.name} is {planned.verdict}: {planned.reason}"]

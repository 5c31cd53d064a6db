"""``mlpipe iam``."""

import json
from typing import Annotated

import typer

from mlpipe.cli.common import ParamsOption, RecipeArgument, SetOption, TargetOption, load_recipe
from mlpipe.console import Console
from mlpipe.errors import UserError
from mlpipe.recipe.policy import permissions, policy

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def iam(
    recipe: RecipeArgument,
    target: TargetOption = None,
    assignments: SetOption = None,
    params: ParamsOption = None,
    for_jobs: Annotated[
        bool,
        typer.Option("--for-jobs", help="The policy of the role that jobs assume, instead."),
    ] = False,
) -> None:
    """Write the IAM policy that a recipe needs on a target: what its stages declare, no more.

    The policy is for who runs mlpipe; jobs that it starts, as trainings, assume a role whose
    policy is another.
    """
    loaded = load_recipe(recipe, target, assignments, params).recipe
    if loaded.target.type != "aws":
        names = [n for n, t in loaded.recipe.targets.items() if (t.type or n) == "aws"]
        known = f"Targets of type aws: {', '.join(names)}." if names else "The recipe has none."
        raise UserError(
            f'target "{loaded.target.name}" needs no policy', fix=f"Name one: --target. {known}"
        )
    holder = "job" if for_jobs else "caller"
    granted = [each for each in permissions(loaded) if each.holder == holder]
    if not granted:  # a policy without a statement is none, and would look like an answer
        plugins = ", ".join(dict.fromkeys(each.plugin for each in loaded.stages.values()))
        raise UserError(
            "no stage says what it may do at AWS" + (" by its jobs" if for_jobs else ""),
            where=str(loaded.path),
            fix=f"Its plugins declare no such permissions: {plugins}.",
        )
    Console().out(json.dumps(policy(granted), indent=2))

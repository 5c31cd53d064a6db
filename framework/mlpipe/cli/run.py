"""``mlpipe run``."""

import os
from typing import Annotated

import typer

from mlpipe.cli.common import (
    JsonOption,
    ParamsOption,
    RecipeArgument,
    SetOption,
    TargetOption,
    command_line,
    load_recipe,
)
from mlpipe.cli.progress import reporter_for
from mlpipe.console import Console
from mlpipe.engine import aftermath
from mlpipe.engine.execute import Options, execute
from mlpipe.engine.reporting import RunResult
from mlpipe.engine.session import session
from mlpipe.errors import ExitCode
from mlpipe.plan.make import Selection, make
from mlpipe.store.runs import RunState

app = typer.Typer(add_completion=False, rich_markup_mode=None)

_CODES = {
    RunState.DONE: ExitCode.OK,
    RunState.GATE_FAILED: ExitCode.GATE,
    RunState.INTERRUPTED: ExitCode.INTERRUPTED,
}


@app.command()
def run(
    recipe: RecipeArgument,
    target: TargetOption = None,
    assignments: SetOption = None,
    params: ParamsOption = None,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=0, help="Stages at once; 0 for one a core.")
    ] = 0,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="STAGE", help="This stage alone.")
    ] = None,
    start: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="STAGE", help="This stage and all that depend on it."),
    ] = None,
    until: Annotated[
        list[str] | None,
        typer.Option("--until", metavar="STAGE", help="This stage and all that it depends on."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run stages even if nothing changed.")] = (
        False
    ),
    keep_going: Annotated[
        bool, typer.Option("--keep-going", "-k", help="Run what does not depend on a failure.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every byte of cached outputs again.")
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Run a recipe: what is cached or in place is left alone.

    A missed gate may start another recipe, which is a run of its own.

    Exit codes: 0 done, 1 a stage failed, 2 the recipe or the command has a problem, 3 a gate
    was missed, 130 interrupted.
    """
    loaded = load_recipe(recipe, target, assignments, params)
    selection = Selection(tuple(only or ()), tuple(start or ()), tuple(until or ()))
    forced = selection.chosen(loaded.recipe) if force else frozenset()
    console = Console()
    options = Options(jobs or os.cpu_count() or 1, keep_going, command_line())
    with session(
        loaded.recipe, loaded.plugins, read_only=False, force=forced, verify=verify
    ) as opened:
        for text in opened.completed:
            console.err(f"! {text}")
        result: RunResult = execute(
            make(opened.assessor, selection),
            opened.assessor,
            opened.store,
            opened.plugins,
            opened.executor,
            options,
            reporter_for(console, as_json=as_json),
        )
    code = _CODES.get(result.state, ExitCode.FAILED)
    for each in aftermath.started(result, loaded.recipe):
        if not as_json:
            console.out(f"{each.stage} missed its gate, which starts {each.name}")
        after = aftermath.start(
            each,
            result,
            loaded.recipe,
            loaded.plugins,
            options,
            lambda: reporter_for(console, as_json=as_json),
        )
        if after.state is RunState.INTERRUPTED:
            return ExitCode.INTERRUPTED
    return code

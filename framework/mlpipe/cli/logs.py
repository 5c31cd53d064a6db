"""``mlpipe logs``."""

from typing import Annotated

import typer

from mlpipe.cli.common import find_project
from mlpipe.cli.runs import RunArgument, get_run
from mlpipe.console import Console
from mlpipe.engine.logs import tail
from mlpipe.errors import UserError
from mlpipe.store import opened

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def logs(
    run: RunArgument,
    stage: Annotated[str, typer.Argument(metavar="STAGE", help="A stage of that run.")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="The last; 0 for all.")] = 0,
) -> None:
    """Show what a stage wrote: standard output and error of its last attempt."""
    with opened(find_project(), read_only=True) as store:
        row = get_run(store, run)
        stages = {each.name: each for each in store.runs.stages(row.id)}
        if stage not in stages:
            raise UserError(
                f'run {row.id} has no stage "{stage}"', fix=f"Its stages: {', '.join(stages)}."
            )
        found = stages[stage]
        path = store.log(row.id, stage, found.attempt)
    console = Console()
    if not found.attempt:
        console.err(f"{stage} did not run in run {row.id}: {found.state}, {found.reason}")
    elif not path.exists():
        console.err(f"{stage} wrote nothing in run {row.id}")
    elif lines:
        for line in tail(path, lines):
            console.out(line)
    else:
        with path.open(encoding="utf-8", errors="replace") as stream:
            for line in stream:
                console.out(line.rstrip("\n"))

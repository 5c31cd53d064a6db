"""``mlpipe gc``."""

from typing import Annotated

import typer

from mlpipe.cli.common import find_project
from mlpipe.console import Console, size
from mlpipe.engine.recovery import recover
from mlpipe.store import opened
from mlpipe.store.retention import collect

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def gc(
    keep: Annotated[
        int, typer.Option("--keep", min=1, help="Results of each stage to keep, the newest.")
    ] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
) -> None:
    """Delete artifacts that no kept result and no release needs, and logs of old runs."""
    console = Console()
    with opened(find_project(), read_only=dry_run) as store:
        if not dry_run:
            recover(store)
        garbage = collect(store, keep=keep, dry_run=dry_run)
    verb = "would delete" if dry_run else "deleted"
    console.out(
        f"{verb} {garbage.results} results, {garbage.objects} artifacts,"
        f" {garbage.logs} runs' logs: {size(garbage.bytes)}"
    )

"""``mlpipe rollback``."""

from typing import Annotated

import typer

from mlpipe.cli.common import find_project
from mlpipe.cli.releases import NameArgument
from mlpipe.console import Console
from mlpipe.engine.rollback import choose, roll_back
from mlpipe.store import opened

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def rollback(
    name: NameArgument,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="LABEL", help="The one in service before, if left out."),
    ] = None,
) -> None:
    """Put an earlier release into service again; it is read back and probed."""
    console = Console()
    with opened(find_project()) as store:
        release = choose(store, name, to)
        current = store.releases.current(release.kind, release.name)
        made_by = store.runs.get(release.run)
        observers = made_by.observers if made_by else {}
        console.err(f"rolling {release.kind}/{release.name} back to {release.label} …")
        summary, reports = roll_back(store, release, observers)
    for text in reports:
        console.err(f"! {text}")
    console.out(
        f"{release.kind}/{release.name} is {release.label}" + (f" · {summary}" if summary else "")
    )
    if current is not None and current.label != release.label:
        console.out(f"way back: mlpipe rollback {release.kind}/{release.name} --to {current.label}")

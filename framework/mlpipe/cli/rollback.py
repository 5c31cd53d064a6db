"""``mlpipe rollback``."""

from typing import Annotated

import typer

from mlpipe.cli.common import find_project
from mlpipe.cli.releases import NameArgument
from mlpipe.console import Console
from mlpipe.engine.releasing import Serving, roll_back
from mlpipe.store import opened
from mlpipe.store.naming import choose

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
        console.err(f"rolling {release.kind}/{release.name} back to {release.label} …")
        served = roll_back(store, release)
    _show(console, served)


def _show(console: Console, served: Serving) -> None:
    """Say what is in service now, and how to go back."""
    release, previous = served.release, served.previous
    service = f"{release.kind}/{release.name}"
    for text in served.reports:
        console.err(f"! {text}")
    console.out(
        f"{service} is {release.label}" + (f" · {served.summary}" if served.summary else "")
    )
    if previous is not None and previous.label != release.label:
        console.out(f"way back: mlpipe rollback {service} --to {previous.label}")

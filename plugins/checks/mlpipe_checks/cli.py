"""``mlpipe checks``: what is known and may stay."""

from typing import Annotated

import typer

app = typer.Typer(
    name="checks",
    help="Work with the findings of checks.check.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Have the command below be a command of its own."""


@app.command()
def baseline(
    recipe: Annotated[str, typer.Argument(help="The recipe's name or path.", show_default=False)],
    stage: Annotated[
        str, typer.Option(help="The stage, where the recipe has several that check.")
    ] = "",
) -> None:
    """Write what a recipe's last run found as known findings."""
    from mlpipe_checks import accepting

    path, count = accepting.accept(recipe, stage)
    typer.echo(f"{path}: {count:,} known finding{'' if count == 1 else 's'}")

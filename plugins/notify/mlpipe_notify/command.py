"""``mlpipe notify``: try channels."""

from typing import Annotated

import typer

app = typer.Typer(
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


@app.callback()
def notify() -> None:
    """Try the channels of a recipe's notify: block."""


@app.command("test")
def test(
    channel: Annotated[str, typer.Argument(metavar="CHANNEL", help="Its name in notify:.")],
    recipe: Annotated[
        str, typer.Option("--recipe", "-r", help="Whose channel; a path, or a name in recipes/.")
    ],
) -> None:
    """Send a message to a channel now, and say whether it was taken."""
    from mlpipe_notify.trying import attempt

    typer.echo(attempt(recipe, channel))

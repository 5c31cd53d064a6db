"""``mlpipe schema``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from mlpipe.console import Console
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.schema import recipe_schema

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; standard output if left out.")
    ] = None,
) -> None:
    """Write the JSON Schema of recipes with all installed plugins, for editors."""
    text = json.dumps(recipe_schema(PluginManager.discover()), indent=2)
    if output is None:
        Console().out(text)
        return
    output.write_text(text + "\n", "utf-8")
    Console().err(f"wrote {output}")

"""``mlpipe ui``: MLflow's pages on what this project tracks."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def ui(
    port: Annotated[
        int, typer.Option("--port", "-p", min=0, max=65535, help="Where to listen; 0: any free.")
    ] = 5000,
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    tracking_uri: Annotated[
        str | None,
        typer.Option(
            "--tracking-uri",
            help="The database to show. MLFLOW_TRACKING_URI, else the project's mlflow.db, "
            "when left out.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Open the MLflow UI on this project's runs. Ctrl-C stops it."""
    from mlpipe import project_root
    from mlpipe_mlflow import serving

    root = project_root(Path.cwd())
    raise typer.Exit(serving.serve(root, tracking_uri, host, port))

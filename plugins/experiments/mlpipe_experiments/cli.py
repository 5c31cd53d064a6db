"""``mlpipe ab``: A/B experiments of the project."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mlpipe_experiments.keeping import Experiment

app = typer.Typer(
    name="ab",
    help="Plan, feed and read the project's A/B experiments.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(help="What it is on, as an endpoint.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_experiments() -> None:
    """Name what experiments were begun on."""
    from mlpipe_experiments import keeping

    found = keeping.names(_state())
    for name in found:
        typer.echo(name)
    if not found:
        typer.echo("No experiments. An endpoint.deploy with an  experiment:  begins one.", err=True)


@app.command()
def plan(name: Name) -> None:
    """Show what was decided before, and how many units it takes."""
    from mlpipe_experiments.showing import plan_lines

    for line in plan_lines(_experiment(name).plan):
        typer.echo(line)


@app.command()
def record(
    name: Name,
    file: Annotated[
        Path,
        typer.Option(
            "--file", "-f", help="CSV, JSON lines or Parquet: key or id, value.", show_default=False
        ),
    ],
    again: Annotated[
        bool, typer.Option("--again", help="Also where the same file was recorded before.")
    ] = False,
) -> None:
    """Add outcomes: what became of users, or of requests."""
    from mlpipe_experiments.reading import record_file

    count = record_file(_experiment(name), file, again=again)
    typer.echo(f"{count:,} outcomes recorded")


@app.command()
def status(
    name: Name,
    as_json: AsJson = False,
    final: Annotated[
        bool, typer.Option("--final", help="This is the last look: no more units come.")
    ] = False,
) -> None:
    """Show how an experiment stands, and what follows; as often as one likes."""
    from mlpipe_experiments import showing
    from mlpipe_experiments.joining import join
    from mlpipe_experiments.verdict import decide

    experiment = _experiment(name)
    joined = join(experiment)
    verdict = decide(experiment.plan, joined.observed, final=final)
    if as_json:
        typer.echo(json.dumps(showing.facts(experiment, joined, verdict), indent=2))
        return
    for line in showing.status_lines(experiment, joined, verdict):
        typer.echo(line)


def _state() -> Path:
    from mlpipe import project_root

    return project_root(Path.cwd()) / ".mlpipe"


def _experiment(name: str) -> "Experiment":
    from mlpipe_experiments import keeping

    return keeping.newest(_state(), name)

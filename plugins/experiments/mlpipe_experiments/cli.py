"""``mlpipe ab``: A/B experiments of the project."""

import json
from collections.abc import Sequence
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
FromRecipe = Annotated[
    str | None,
    typer.Option("--recipe", help="One that plans it; what was begun counts when left out."),
]
OnTarget = Annotated[
    str | None, typer.Option("--target", "-t", help="With --recipe: where it would run.")
]
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
def plan(name: Name, recipe: FromRecipe = None, target: OnTarget = None) -> None:
    """Show what was decided before, and how many units it takes."""
    from mlpipe_experiments import planned
    from mlpipe_experiments.showing import plan_lines

    found = planned.find(name, recipe, target) if recipe else _experiment(name)
    _say(plan_lines(found.plan))


@app.command()
def record(
    name: Name,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", "-f", help="CSV, JSON lines or Parquet: key or id, value.", show_default=False
        ),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also where the same file was recorded before.")
    ] = False,
) -> None:
    """Add outcomes: what became of users, or of requests. Without a file: by the plan's query."""
    from mlpipe_experiments.reading import record_file, record_query

    experiment = _experiment(name)
    count = record_file(experiment, file, again=again) if file else record_query(experiment)
    typer.echo(f"{count:,} outcomes recorded")


@app.command()
def status(name: Name, as_json: AsJson = False) -> None:
    """Show how an experiment stands, and what follows; as often as one likes."""
    from mlpipe_experiments import showing
    from mlpipe_experiments.deciding import standing

    experiment = _experiment(name)
    found = standing(experiment)
    if as_json:
        typer.echo(json.dumps(showing.facts(experiment, found), indent=2))
    else:
        _say(showing.status_lines(experiment, found))


@app.command()
def decide(
    name: Name,
    undecided: Annotated[
        bool, typer.Option("--undecided", help="End it also where nothing is decided yet.")
    ] = False,
) -> None:
    """End an experiment with its verdict, for good. At its horizon this is the closing look."""
    from dataclasses import replace

    from mlpipe import StageError
    from mlpipe_experiments import showing
    from mlpipe_experiments.deciding import conclude
    from mlpipe_experiments.publishing import publish

    experiment = _experiment(name)
    if experiment.ending is not None:
        _say(showing.ending_lines(experiment, experiment.ending))
        return
    found, ending = conclude(experiment, undecided=undecided)
    if ending is None:
        raise StageError(
            f"nothing is decided yet: {found.verdict.reason}",
            where=f"experiment on {name}",
            fix=f"Wait for {found.missing:,} more units, or end it now without a verdict: "
            "--undecided",
        )
    ended = replace(experiment, ending=ending)
    _say(showing.status_lines(ended, found))
    _, reports = publish(ended)
    _warn(reports)


@app.command()
def simulate(
    name: Name,
    recipe: FromRecipe = None,
    target: OnTarget = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="With --recipe: outcomes of the recorded traffic."),
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="To be found; the plan's smallest when left out.", min=0)
    ] = None,
    resample: Annotated[
        bool, typer.Option("--resample", help="With --recipe: draw units more than once.")
    ] = False,
    experiments: Annotated[int, typer.Option(min=10, help="How many, each way.")] = 300,
    looks: Annotated[int, typer.Option(min=1, help="How often each is looked at.")] = 20,
    seed: Annotated[int, typer.Option(help="Where the random numbers start.")] = 0,
) -> None:
    """Try the plan on recorded traffic: how often it is wrong, how soon right.

    Before it begins: --recipe. Then what one variant answered is split anew, again and again.
    Afterwards experiments are drawn from the units of the control.
    """
    from mlpipe_experiments import trying

    how = trying.How(effect, experiments, looks, seed)
    if recipe is not None:
        _say(trying.planned(name, recipe, target, file, how, resample=resample))
        return
    if file is not None or resample or target is not None:
        raise typer.BadParameter("--file, --resample and --target go with --recipe")
    _say(trying.begun(_experiment(name), how))


@app.command()
def report(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write.", show_default=False)
    ] = None,
) -> None:
    """Write a page about an experiment: effect, split and guardrails as they went."""
    from mlpipe_experiments.publishing import publish

    page, reports = publish(_experiment(name), out)
    typer.echo(page)
    _warn(reports)


def _say(lines: list[str]) -> None:
    for line in lines:
        typer.echo(line)


def _warn(reports: Sequence[str]) -> None:
    for text in reports:
        typer.echo(f"! {text}", err=True)


def _state() -> Path:
    from mlpipe import project_root

    return project_root(Path.cwd()) / ".mlpipe"


def _experiment(name: str) -> "Experiment":
    from mlpipe_experiments import keeping

    return keeping.newest(_state(), name)

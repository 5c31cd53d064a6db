"""``mlpipe data``: list, show, compare and check out versions of data sets."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mlpipe_dvc.commands.catalogue import DataSet
    from mlpipe_dvc.commands.project import Project

app = typer.Typer(
    name="data",
    help="List, show, compare and check out versions of data sets.",
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    epilog="VERSION is the beginning of a digest or of a run, a Git revision or tag, "
    "current, or previous.",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Named = Annotated[
    str,
    typer.Argument(
        metavar="DATASET[@VERSION]",
        help="A data set, as data/train.csv or train; the current version when none is named.",
        show_default=False,
    ),
]


@app.command("list")
def list_versions(
    name: Annotated[
        str, typer.Argument(metavar="[DATASET]", help="Of this one.", show_default=False)
    ] = "",
    as_json: AsJson = False,
) -> None:
    """List data sets and their versions; * marks the current ones."""
    from mlpipe_dvc.commands import views
    from mlpipe_dvc.commands.naming import find_data_set

    project, sets = _look()
    found = [find_data_set(sets, name, project, Path.cwd())] if name else sets
    _print(as_json, views.list_json(found), views.list_lines(found))
    if not found and not as_json:
        typer.echo("No data sets. A recipe with a dvc.prepare stage makes them.", err=True)


@app.command()
def show(name: Named, as_json: AsJson = False) -> None:
    """Show a version: its origin, its columns and their statistics."""
    from mlpipe import MlpipeError
    from mlpipe_dvc.commands import views
    from mlpipe_dvc.commands.knowledge import described

    project, sets = _look()
    version = _resolve(name, project, sets)[1]
    try:
        version = described(version, project)
    except MlpipeError:  # all else is known, and asked for
        _print(as_json, views.show_json(version), views.show_lines(version))
        raise
    _print(as_json, views.show_json(version), views.show_lines(version))


@app.command()
def diff(
    name: Annotated[str, typer.Argument(metavar="DATASET", help="A data set.", show_default=False)],
    before: Annotated[str, typer.Argument(metavar="[A]", help="A version.")] = "previous",
    after: Annotated[str, typer.Argument(metavar="[B]", help="A version.")] = "current",
    as_json: AsJson = False,
) -> None:
    """Compare two versions; ! marks what is notable."""
    from mlpipe_dvc.commands import views
    from mlpipe_dvc.commands.differing import difference
    from mlpipe_dvc.commands.naming import find_data_set, find_version

    project, sets = _look()
    data = find_data_set(sets, name, project, Path.cwd())
    first, second = (find_version(data, each, project) for each in (before, after))
    found = difference(first, second, project)
    _print(as_json, views.diff_json(found), views.diff_lines(found))


@app.command()
def get(
    name: Named,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it.", show_default="its own place"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check out a version, into its place or to another path."""
    from mlpipe_dvc.commands import getting, views

    project, sets = _look()
    data, version = _resolve(name, project, sets)
    if output is None:
        path = getting.put_in_place(version, data, project)
    else:
        path = getting.write_to(version, output, project)
    facts = {"dataset": version.label, "digest": version.digest, "path": str(path)}
    _print(as_json, facts, [views.got_line(version, path)])


def _look() -> "tuple[Project, tuple[DataSet, ...]]":
    from mlpipe_dvc.commands.catalogue import catalogue
    from mlpipe_dvc.commands.project import find

    project = find(Path.cwd())
    return project, catalogue(project)


def _resolve(text: str, project: "Project", sets: "tuple[DataSet, ...]") -> Any:
    from mlpipe_dvc.commands.naming import find_data_set, find_version, split

    name, version = split(text, sets, project, Path.cwd())
    data = find_data_set(sets, name, project, Path.cwd())
    return data, find_version(data, version, project)


def _print(as_json: bool, facts: Any, lines: list[str]) -> None:
    for line in [json.dumps(facts, indent=2)] if as_json else lines:
        typer.echo(line)

"""``mlpipe releases``: list, show, diff."""

import json
from typing import Annotated, Any

import typer

from mlpipe.cli.common import JsonOption, find_project
from mlpipe.console import Console, moment
from mlpipe.plan.fingerprint import flatten
from mlpipe.store import opened
from mlpipe.store.naming import find_release, find_service
from mlpipe.types import Release

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

NameArgument = Annotated[
    str, typer.Argument(metavar="[KIND/]NAME", help="What was released, as endpoint/churn.")
]


@app.callback()
def releases() -> None:
    """List, show and compare releases: what was put where."""


@app.command("list")
def list_releases(as_json: JsonOption = False) -> None:
    """List releases, the newest first; * marks what is in service."""
    console = Console()
    with opened(find_project(), read_only=True) as store:
        found = store.releases.all()
        current = {
            (each.kind, each.name): store.releases.current(each.kind, each.name) for each in found
        }
    marks = ["*" if current[each.kind, each.name] == each else "" for each in found]
    if as_json:
        console.json(
            [{**_facts(e), "in_service": bool(m)} for e, m in zip(found, marks, strict=True)]
        )
        return
    console.rows(
        (f"{each.kind}/{each.name}", each.label, mark, moment(each.created), f"run {each.run}")
        for each, mark in zip(found, marks, strict=True)
    )


@app.command("show")
def show(
    name: NameArgument,
    label: Annotated[
        str | None, typer.Argument(metavar="LABEL", help="The newest if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a release, and when it was in service."""
    console = Console()
    with opened(find_project(), read_only=True) as store:
        release = find_release(store, name, label)
        history = store.releases.history(release.kind, release.name)
    if as_json:
        console.json(_facts(release))
        return
    console.out(f"{release.kind}/{release.name} {release.label} · run {release.run}")
    console.rows((key, _text(value)) for key, value in flatten(release.payload))
    for each in reversed(history):
        if each.release.label == release.label:
            console.out(f"  in service since {moment(each.when)} ({each.origin})")


@app.command("diff")
def diff(name: NameArgument, first: str, second: str, as_json: JsonOption = False) -> None:
    """Compare two releases of the same thing, by label."""
    console = Console()
    with opened(find_project(), read_only=True) as store:
        kind, what = find_service(store, name)
        before, after = (
            dict(flatten(find_release(store, f"{kind}/{what}", label).payload))
            for label in (first, second)
        )
    names = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    if as_json:
        console.json({key: [before.get(key), after.get(key)] for key in names})
        return
    if not names:
        console.out("no differences")
    console.rows((key, _text(before.get(key)), "→", _text(after.get(key))) for key in names)


def _facts(release: Release) -> dict[str, Any]:
    return {
        "kind": release.kind,
        "name": release.name,
        "label": release.label,
        "plugin": release.plugin,
        "run": release.run,
        "created": release.created,
        "payload": release.payload,
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)

"""``mlpipe runs``: list, show, diff."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from mlpipe.cli.common import JsonOption, find_project
from mlpipe.console import Console, duration, moment, printable
from mlpipe.errors import UserError
from mlpipe.store import Store, opened
from mlpipe.store.runs import RunRow, StageRow

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run; `last` for the newest.")]


@app.callback()
def runs() -> None:
    """List, show and compare runs."""


@app.command("list")
def list_runs(
    recipe: Annotated[str | None, typer.Argument(metavar="RECIPE", help="Of this one.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List runs, the newest first."""
    console = Console()
    with opened(find_project(), read_only=True) as store:
        found = store.runs.newest(limit, recipe)
    if as_json:
        console.json([_facts(run) for run in found])
        return
    console.rows(
        (run.id, run.recipe, run.target, str(run.state), moment(run.started), _took(run))
        for run in found
    )


@app.command("show")
def show(run: RunArgument, as_json: JsonOption = False) -> None:
    """Show a run: its stages, their metrics, what went wrong."""
    console = Console()
    with opened(find_project(), read_only=True) as store:
        row = get_run(store, run)
        stages = store.runs.stages(row.id)
        kept = {stage.name: store.kept(row.id, stage.name, stage.attempt) for stage in stages}
        cause, started = store.runs.cause(row.id), store.runs.started_by(row.id)
    if as_json:
        facts = [{**_stage_facts(stage), "kept": kept[stage.name]} for stage in stages]
        by = asdict(cause) if cause else None
        console.json({**_facts(row), "cause": by, "started": started, "stages": facts})
        return
    console.out(f"run {row.id} · {row.recipe} · target {row.target} · {row.state}")
    console.out(f"  {moment(row.started)} · {_took(row)} · {row.command}")
    if cause is not None:
        console.out(f"  started by the missed gate of {cause.stage} in run {cause.run}")
    if row.params:
        console.out("  " + " · ".join(f"{name} {value}" for name, value in row.params.items()))
    console.rows(
        (stage.name, stage.uses, str(stage.state), _stage_took(stage), printable(stage.summary))
        for stage in stages
    )
    for stage in stages:
        if stage.error is not None:
            where = f"{stage.error['where']}  " if stage.error.get("where") else ""
            console.out(printable(f"  {stage.name}: {where}{stage.error['what']}"))
        for file in kept[stage.name]:
            console.out(f"  {stage.name}: look at {file}")
        if stage.name in started:
            console.out(f"  {stage.name}: its missed gate started run {started[stage.name]}")


@app.command("diff")
def diff(first: RunArgument, second: RunArgument, as_json: JsonOption = False) -> None:
    """Compare two runs: parameters, stages and metrics that differ."""
    console = Console()
    with opened(find_project(), read_only=True) as store:
        before, after = (_flat(store, get_run(store, run)) for run in (first, second))
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    if as_json:
        console.json({name: [before.get(name), after.get(name)] for name in names})
        return
    if not names:
        console.out("no differences")
    console.rows(
        (name, _text(before.get(name)), "→", _text(after.get(name)), _delta(before, after, name))
        for name in names
    )


def get_run(store: Store, name: str) -> RunRow:
    """Give a run by identifier, or the newest for ``last``.

    Raises:
        UserError: There is none.
    """
    newest = store.runs.newest(5)
    row = newest[0] if name == "last" and newest else store.runs.get(name)
    if row is None:
        known = ", ".join(run.id for run in newest) or "none"
        raise UserError(
            f'there is no run "{name}"', fix=f"The newest: {known}. See mlpipe runs list."
        )
    return row


def _flat(store: Store, run: RunRow) -> dict[str, Any]:
    found: dict[str, Any] = {f"params.{name}": value for name, value in run.params.items()}
    found["state"] = str(run.state)
    for stage in store.runs.stages(run.id):
        found.update((f"{stage.name}.{name}", value) for name, value in stage.metrics.items())
        found[f"{stage.name}.result"] = (stage.fingerprint or "")[7:15]
    return found


def _delta(before: dict[str, Any], after: dict[str, Any], name: str) -> str:
    old, new = before.get(name), after.get(name)
    if isinstance(old, int | float) and isinstance(new, int | float):
        return f"{new - old:+.4g}"
    return ""


def _text(value: Any) -> str:
    if value is None:
        return "(none)"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _facts(run: RunRow) -> dict[str, Any]:
    return {
        "run": run.id,
        "recipe": run.recipe,
        "path": run.path,
        "target": run.target,
        "state": run.state,
        "started": run.started,
        "finished": run.finished,
        "params": run.params,
        "command": run.command,
        "error": run.error,
    }


def _stage_facts(stage: StageRow) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "uses": stage.uses,
        "state": stage.state,
        "reason": stage.reason,
        "attempt": stage.attempt,
        "started": stage.started,
        "finished": stage.finished,
        "summary": stage.summary,
        "metrics": stage.metrics,
        "error": stage.error,
    }


def _took(run: RunRow) -> str:
    return duration(run.finished - run.started) if run.finished else "…"


def _stage_took(stage: StageRow) -> str:
    return duration(stage.finished - stage.started) if stage.started and stage.finished else ""

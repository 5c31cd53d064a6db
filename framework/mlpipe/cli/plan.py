"""``mlpipe plan``."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from mlpipe.cli.common import (
    JsonOption,
    ParamsOption,
    RecipeArgument,
    SetOption,
    TargetOption,
    load_recipe,
)
from mlpipe.console import Console, columns
from mlpipe.engine.session import session
from mlpipe.plan.cost import Cost, hours_of, money_of, worst_case
from mlpipe.plan.make import Selection, make
from mlpipe.plan.values import Plan, PlannedStage
from mlpipe.types import Usage

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def plan(
    recipe: RecipeArgument,
    target: TargetOption = None,
    assignments: SetOption = None,
    params: ParamsOption = None,
    only: Annotated[list[str] | None, typer.Option("--only", metavar="STAGE")] = None,
    start: Annotated[list[str] | None, typer.Option("--from", metavar="STAGE")] = None,
    until: Annotated[list[str] | None, typer.Option("--until", metavar="STAGE")] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not look at sources and services outside.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every byte of cached outputs again.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would do, stage by stage, and why. Changes nothing."""
    loaded = load_recipe(recipe, target, assignments, params)
    selection = Selection(tuple(only or ()), tuple(start or ()), tuple(until or ()))
    with session(
        loaded.recipe, loaded.plugins, read_only=True, offline=offline, verify=verify
    ) as opened:
        made = make(opened.assessor, selection)
    console = Console()
    cost = worst_case(made)
    if as_json:
        console.json([_facts(each, cost) for each in made.stages.values()])
        return
    for warning in made.warnings:
        console.err(f"! {warning}")
    for line in (*_lines(made), *_starts(made), *_cost(made, cost)):
        console.out(line)


def _lines(made: Plan) -> list[str]:
    rows = [(each.name, str(each.verdict), each.reason) for each in made.stages.values()]
    lines = []
    for line, planned in zip(columns(rows), made.stages.values(), strict=True):
        lines.append(line)
        lines.extend(f"              {action.summary}" for action in planned.actions)
    return lines


def _starts(made: Plan) -> list[str]:
    """Say what missed gates would start."""
    stages = made.recipe.stages
    told = {name: stages[name].spec.on_gate_failure for name in made.recipe.starts}
    return [
        f"if {name} misses its gate: mlpipe run {each.run}" for name, each in told.items() if each
    ]


def _cost(made: Plan, cost: Cost) -> list[str]:
    """Say what the run may cost, where it may cost anything."""
    if not cost.stages and not cost.unknown:
        return []
    budget = made.recipe.recipe.budget
    hours, money = f"{cost.hours:.4g}", _money(cost.money, cost.currency)
    if budget and budget.instance_hours is not None:
        hours += f" of {budget.instance_hours:g}"
    if budget and budget.money is not None:
        money += f" of budget {_money(budget.money, cost.currency)}"
    lines = [f"worst case  {hours} instance-hours · {money}"]
    rows = [
        (
            name,
            f"{hours_of(usage):.4g} h",
            _money(money_of(usage), cost.currency),
            _resources(usage),
        )
        for name, usage in cost.stages.items()
    ]
    lines += columns(rows, "  ")
    if cost.unpriced:
        lines.append(f"  without a price: {', '.join(cost.unpriced)}")
    if cost.unknown:
        lines.append(f"  not known yet: {', '.join(cost.unknown)}")
    return lines


def _money(amount: float, currency: str) -> str:
    return f"${amount:.2f}" if currency == "USD" else f"{amount:.2f} {currency}"


def _resources(usages: tuple[Usage, ...]) -> str:
    return ", ".join(dict.fromkeys(usage.resource for usage in usages))


def _facts(planned: PlannedStage, cost: Cost) -> dict[str, Any]:
    return {
        "stage": planned.name,
        "uses": planned.stage.spec.uses,
        "verdict": planned.verdict,
        "reason": planned.reason,
        "changes": [str(change) for change in planned.changes],
        "actions": [action.summary for action in planned.actions],
        "fingerprint": planned.fingerprint,
        "run": planned.record.run if planned.record else None,
        "worst_case": [asdict(usage) for usage in cost.stages.get(planned.name, ())],
    }

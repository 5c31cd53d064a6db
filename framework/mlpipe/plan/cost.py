"""What a plan may cost at most, and whether the recipe's budget allows it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mlpipe.plan.values import Plan, PlannedStage, Verdict
from mlpipe.recipe.loaded import LoadedRecipe
from mlpipe.recipe.problems import Problem, RecipeError
from mlpipe.types import Usage


@dataclass(frozen=True, slots=True)
class Cost:
    """What stages may use, at most.

    Attributes:
        stages: Usage of each stage that will run and uses anything, all attempts together.
        unknown: Stages whose settings wait for another stage's result.
    """

    stages: Mapping[str, tuple[Usage, ...]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def hours(self) -> float:
        """Hours of all resources together."""
        return sum(hours_of(each) for each in self.stages.values())

    @property
    def money(self) -> float:
        """In the price table's currency; without what has no price."""
        return sum(money_of(each) for each in self.stages.values())

    @property
    def currency(self) -> str:
        """The code of the currency; a run has one target, and so one price table."""
        return next((usage.currency for each in self.stages.values() for usage in each), "USD")

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Resources whose price is not known."""
        every = (usage for each in self.stages.values() for usage in each)
        return tuple(dict.fromkeys(usage.resource for usage in every if usage.price is None))


def worst_case(plan: Plan) -> Cost:
    """Sum up what the stages that will run may use: each attempt its longest time.

    Raises:
        UserError: The target's settings are wrong.
    """
    stages = {}
    unknown = []
    for planned in plan.with_verdict(Verdict.RUN):
        usage = _of(planned, plan.recipe)
        if usage is None:
            unknown.append(planned.name)
        elif usage:
            stages[planned.name] = usage
    return Cost(stages, tuple(unknown))


def check(plan: Plan, cost: Cost) -> None:
    """Refuse a plan that may cost more than the recipe's budget.

    Stages whose settings wait for another stage's result are not in it: a recipe that trains with
    what a tuning found could never begin.

    Raises:
        RecipeError: It may, or a price is not known.
    """
    problems = _problems(plan.recipe, cost)
    if problems:
        raise RecipeError(problems)


def hours_of(usages: tuple[Usage, ...]) -> float:
    """Sum up hours."""
    return sum(usage.hours for usage in usages)


def money_of(usages: tuple[Usage, ...]) -> float:
    """Sum up money; what has no price is left out."""
    return sum(usage.hours * usage.price for usage in usages if usage.price is not None)


def _of(planned: PlannedStage, recipe: LoadedRecipe) -> tuple[Usage, ...] | None:
    stage = planned.stage
    config = stage.config
    if config is None and planned.settings:
        config = stage.validate(planned.settings)
    if config is None:
        # What can only run on this machine, or runs there now, is not paid by the hour.
        paid = stage.schema.backends and recipe.target.type != "local"
        return None if paid else ()
    attempts = stage.spec.retry.attempts if stage.spec.retry else 1
    return tuple(
        replace(usage, hours=usage.hours * attempts)
        for usage in config.worst_case(recipe.target, recipe.root)
    )


def _problems(recipe: LoadedRecipe, cost: Cost) -> list[Problem]:
    budget, source = recipe.recipe.budget, recipe.source
    found: list[Problem] = []
    if budget is None:
        return found
    hours, money = cost.hours, cost.money
    if budget.instance_hours is not None and hours > budget.instance_hours:
        found.append(
            source.problem(
                ("budget", "instance_hours"),
                f"the worst case is {hours:.4g} instance-hours",
                _most(cost, hours_of, "{:.4g} h"),
            )
        )
    if budget.money is not None and cost.unpriced:
        found.append(
            source.problem(
                ("budget", "money"),
                f"the price of {', '.join(cost.unpriced)} is not known",
                "Say it in a price table of your own: targets.<name>.prices.",
            )
        )
    if budget.money is not None and money > budget.money:
        found.append(
            source.problem(
                ("budget", "money"),
                f"the worst case is {money:.2f}",
                _most(cost, money_of, "{:.2f}"),
            )
        )
    return found


def _most(cost: Cost, measure: Callable[[tuple[Usage, ...]], float], form: str) -> str:
    parts = sorted(((measure(each), name) for name, each in cost.stages.items()), reverse=True)
    shown = ", ".join(f"{name} {form.format(value)}" for value, name in parts[:3])
    return f"Most of it: {shown}. Lower max_runtime, instances or trials, or raise the budget."

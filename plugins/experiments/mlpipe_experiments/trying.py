"""What ``mlpipe ab simulate`` does."""

from dataclasses import dataclass
from pathlib import Path

from mlpipe_experiments import planned as planning
from mlpipe_experiments.joining import join
from mlpipe_experiments.keeping import Experiment
from mlpipe_experiments.replaying import replay
from mlpipe_experiments.showing import replayed_lines, simulated_lines
from mlpipe_experiments.simulating import simulate


@dataclass(frozen=True, slots=True)
class How:
    """How a plan is tried.

    Attributes:
        effect: The one to be found, or ``None`` for the smallest that matters.
        experiments: How many, without the effect and with it.
        looks: How often each is looked at.
        seed: Where the random numbers start.
    """

    effect: float | None
    experiments: int
    looks: int
    seed: int


def planned(
    name: str, recipe: str, target: str | None, file: Path | None, how: How, *, resample: bool
) -> list[str]:
    """Replay a plan that a recipe has on recorded traffic; say what became of it.

    Raises:
        UserError: The recipe plans no such experiment, or there is too little traffic.
    """
    found = planning.find(name, recipe, target)
    traffic = planning.traffic(found, file)
    effect = found.plan.effect if how.effect is None else how.effect
    nothing, some = (
        replay(
            found.plan,
            traffic,
            each,
            replays=how.experiments,
            looks=how.looks,
            seed=how.seed,
            resample=resample,
        )
        for each in (0.0, effect)
    )
    return replayed_lines(found.plan, traffic, nothing, some, effect)


def begun(experiment: Experiment, how: How) -> list[str]:
    """Try the plan of an experiment that was begun on units of its control.

    Raises:
        UserError: There are too few.
    """
    made, units = experiment.plan, join(experiment).units
    effect = made.effect if how.effect is None else how.effect
    nothing, some = (
        simulate(made, units, each, experiments=how.experiments, looks=how.looks, seed=how.seed)
        for each in (0.0, effect)
    )
    return simulated_lines(made, nothing, some, effect)

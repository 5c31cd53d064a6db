"""How an experiment stands, and its end."""

import time
from dataclasses import dataclass

from mlpipe_experiments.joining import Joined, join
from mlpipe_experiments.keeping import Ending, Experiment
from mlpipe_experiments.planning import Size, size
from mlpipe_experiments.tallying import observe
from mlpipe_experiments.verdict import Observed, Verdict, decide


@dataclass(frozen=True, slots=True)
class Standing:
    """How an experiment stands.

    Attributes:
        joined: Its units.
        observed: What the tests see of them.
        verdict: What follows.
        size: How many units it takes.
    """

    joined: Joined
    observed: Observed
    verdict: Verdict
    size: Size

    @property
    def missing(self) -> int:
        """Units until the closing look."""
        return max(0, self.size.horizon - len(self.joined.units))


def standing(experiment: Experiment) -> Standing:
    """Look at an experiment; as often as one likes."""
    joined = join(experiment)
    observed = observe(experiment.plan, joined.units)
    return Standing(joined, observed, decide(experiment.plan, observed), size(experiment.plan))


def closing(experiment: Experiment) -> Standing:
    """Look at an experiment for the last time, where its horizon is reached.

    What holds at any look goes before; else the closing look decides, of just as many units as
    were planned. So when it is taken makes no difference.
    """
    now = standing(experiment)
    if now.missing or now.verdict.kind != "inconclusive":
        return now
    observed = observe(experiment.plan, now.joined.units[: now.size.horizon])
    verdict = decide(experiment.plan, observed, closing=True)
    return Standing(now.joined, observed, verdict, now.size)


def present(experiment: Experiment) -> Standing:
    """Look at an experiment as it is: at its closing look where it has ended."""
    return closing(experiment) if experiment.ending else standing(experiment)


def conclude(experiment: Experiment, *, undecided: bool) -> tuple[Standing, Ending | None]:
    """End an experiment with its verdict; ``None`` where there is none yet.

    Args:
        experiment: What is to end.
        undecided: Whether to end it without a verdict, where there is none.
    """
    found = closing(experiment)
    verdict = found.verdict
    if verdict.kind == "inconclusive" and not (undecided or verdict.closing):
        return found, None
    return found, experiment.end(Ending(time.time(), verdict.kind, verdict.winner, verdict.reason))

"""From units to what the tests see of them, at any look."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mlpipe_experiments.joining import Unit
from mlpipe_experiments.moments import Moments, RatioMoments, Summary
from mlpipe_experiments.plan import ERROR_RATE, LATENCY, ExperimentPlan
from mlpipe_experiments.verdict import Observed, Verdict, decide


@dataclass(frozen=True, slots=True)
class Look:
    """What an experiment said at some time.

    Attributes:
        units: How many had come by then, of all variants.
        when: Unix time of the last one's first request, in seconds.
        observed: What was seen, with the outcomes known now.
        verdict: What followed.
    """

    units: int
    when: float
    observed: Observed
    verdict: Verdict


class Tally:
    """Adds up units.

    Args:
        plan: What is counted of them.
    """

    def __init__(self, plan: ExperimentPlan) -> None:
        self._plan = plan
        empty = RatioMoments() if plan.metric.kind == "ratio" else Moments()
        self._outcomes: dict[str, Moments | RatioMoments] = dict.fromkeys(plan.weights, empty)
        self._counts = dict.fromkeys(plan.weights, 0)
        self._guarded = {
            each.metric: dict.fromkeys(plan.weights, RatioMoments())
            for each in plan.guardrails
            if each.metric in (ERROR_RATE, LATENCY)
        }

    def add(self, units: Iterable[Unit]) -> None:
        """Take up more units."""
        parts: dict[str, list[Unit]] = {name: [] for name in self._plan.weights}
        for unit in units:
            parts[unit.variant].append(unit)
        for name, part in parts.items():
            self._counts[name] += len(part)
            self._outcomes[name] += self._moments(part)  # type: ignore[operator]  # of one kind
            for metric, seen in self._guarded.items():
                seen[name] += _requests(metric, part)

    def _moments(self, units: Sequence[Unit]) -> Moments | RatioMoments:
        kind = self._plan.metric.kind
        if kind == "ratio":
            return RatioMoments.of((each.value, each.of) for each in units)
        return Moments.of(
            float(each.value > 0) if kind == "binary" else each.value for each in units
        )

    def observed(self) -> Observed:
        """Give what the tests see of all units so far."""
        return summarised(self._counts, self._outcomes, self._guarded)


def observe(plan: ExperimentPlan, units: Iterable[Unit]) -> Observed:
    """Give what the tests see of units."""
    tally = Tally(plan)
    tally.add(units)
    return tally.observed()


def looks(plan: ExperimentPlan, units: Sequence[Unit], count: int) -> Iterator[Look]:
    """Look at an experiment again as it went.

    Args:
        plan: What was decided before.
        units: In the order in which they came.
        count: How many looks, each after as many more units.
    """
    tally, before = Tally(plan), 0
    for number in range(1, count + 1):
        upto = len(units) * number // count
        if upto == before:
            continue
        tally.add(units[before:upto])
        observed = tally.observed()
        yield Look(upto, units[upto - 1].arrived, observed, decide(plan, observed))
        before = upto


def _requests(metric: str, units: Iterable[Unit]) -> RatioMoments:
    return RatioMoments.of(
        (each.failed if metric == ERROR_RATE else each.slow, each.requests) for each in units
    )


def summarised(
    counts: Mapping[str, int],
    outcomes: Mapping[str, Moments | RatioMoments],
    guarded: Mapping[str, Mapping[str, Moments | RatioMoments]],
) -> Observed:
    """Give what the tests see of sums over units.

    Args:
        counts: How many units each variant has.
        outcomes: Each variant's.
        guarded: The same of each guardrail's metric.
    """
    guardrails: dict[str, dict[str, Summary]] = {
        metric: {name: each.summary() for name, each in seen.items()}
        for metric, seen in guarded.items()
    }
    return Observed(dict(counts), {n: each.summary() for n, each in outcomes.items()}, guardrails)

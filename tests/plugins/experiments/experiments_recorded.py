"""Experiments with recorded units."""

import json

from mlpipe_experiments import Observed
from mlpipe_experiments.joining import join
from mlpipe_experiments.keeping import Experiment, Outcome
from mlpipe_experiments.tallying import observe


def seen(experiment: Experiment) -> Observed:
    """Give what the tests see of an experiment."""
    return observe(experiment.plan, join(experiment).units)


def fill(experiment: Experiment, count: int, rates: dict[str, float]) -> None:
    """Answer so many units in turn; of each variant's, so many have an outcome."""
    with experiment.records.open("a") as file:
        for number in range(count):
            record = {
                "id": f"r{number}",
                "time": experiment.since + number,
                "variant": list(rates)[number % 2],
                "targeted": False,
                "key": f"u{number}",
                "status": 200,
                "latency": 0.01,
            }
            file.write(json.dumps(record) + "\n")
    ones = [(n // 2) % 100 < 100 * list(rates.values())[n % 2] for n in range(count)]
    experiment.record([Outcome(f"u{n}", float(one)) for n, one in enumerate(ones)], "all")

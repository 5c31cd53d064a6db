"""Telling observers of the run that began an experiment how it stands, with the page about it."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlpipe_experiments import reporting
from mlpipe_experiments.deciding import Standing, present
from mlpipe_experiments.keeping import Experiment

#: The kind of the event, as the hook ``stage_event`` has it.
KIND = "experiment"


def publish(experiment: Experiment, out: Path | None = None) -> tuple[Path, tuple[str, ...]]:
    """Write the page, and tell observers of it.

    Args:
        experiment: What it is about.
        out: The file; ``report.html`` in the experiment's folder when left out.

    Returns:
        The file, and what observers reported.
    """
    found = present(experiment)
    page = reporting.write(experiment, out, found)
    if not experiment.run:
        return page, ()
    import mlpipe

    payload = facts(experiment, found, page)
    reports = mlpipe.emit(experiment.root, experiment.run, experiment.stage, KIND, **payload)
    return page, reports


def facts(experiment: Experiment, found: Standing, page: Path) -> dict[str, Any]:
    """Give the event's payload.

    Its ``tags`` are texts, its ``metrics`` numbers, both by name; ``units`` says after how many
    they are what they are; ``report`` is the page's file.
    """
    ending, verdict = experiment.ending, found.verdict
    return {
        "name": experiment.name,
        "units": len(found.joined.units),
        "tags": {
            "state": "ended" if ending else "running",
            "verdict": ending.kind if ending else verdict.kind,
            "reason": ending.reason if ending else verdict.reason,
            "winner": (ending.winner if ending else verdict.winner) or "",
            "metric": experiment.plan.metric.name,
            "plan": experiment.plan.digest(),
        },
        "metrics": {name: value for name, value in _metrics(found) if math.isfinite(value)},
        "report": str(page.resolve()),
    }


def _metrics(found: Standing) -> Iterator[tuple[str, float]]:
    yield "units", len(found.joined.units)
    yield "horizon", found.size.horizon
    for name, seen in found.observed.outcomes.items():
        yield f"{name}.units", found.observed.assigned[name]
        yield f"{name}.mean", seen.mean
    for name, effect in found.verdict.effects.items():
        yield f"{name}.effect", effect.estimate
        yield f"{name}.effect_lower", effect.lower
        yield f"{name}.effect_upper", effect.upper
    for name, checked in found.verdict.guardrails.items():
        for each in checked:
            yield f"{name}.{each.metric}_worse_by", each.worse_by

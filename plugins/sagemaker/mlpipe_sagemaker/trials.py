"""All trials of a tuning, as the output ``trials`` has them."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlpipe import StageError
from mlpipe_sagemaker.config import TuneConfig
from mlpipe_sagemaker.contract import Trial, Tuned


def write(tuned: Tuned, config: TuneConfig, path: Path) -> None:
    """Write a tuning's trials as JSON."""
    facts = {
        "objective": config.objective,
        "direction": config.direction,
        "space": _space(config),
        "best": tuned.best.number,
        "tuning_job": tuned.values.get("tuning_job"),
        "trials": [asdict(trial) for trial in tuned.trials],
    }
    path.write_text(json.dumps(facts, indent=2) + "\n", "utf-8")


def read(path: Path, config: TuneConfig) -> tuple[Trial, ...]:
    """Read the trials of an earlier tuning.

    Raises:
        StageError: It is no such file, or does not go with this tuning.
    """
    try:
        facts: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        trials = tuple(Trial(**each) for each in facts["trials"])
        objective, direction, space = (facts[k] for k in ("objective", "direction", "space"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(
            "holds no trials of an earlier tuning",
            where="inputs.earlier",
            fix="Give the output trials of a sagemaker.tune stage.",
        ) from error
    if (objective, direction) != (config.objective, config.direction):
        raise StageError(
            f"the earlier tuning had another aim: {direction} {objective}",
            where="inputs.earlier",
            fix=f"This one is to {config.direction} {config.objective}.",
        )
    if config.warm_start == "identical" and space != _space(config):
        raise StageError(
            "the earlier tuning searched another space",
            where="with.warm_start",
            fix="Say transfer, or search the same space.",
        )
    return trials


def _space(config: TuneConfig) -> Any:
    return {name: each.model_dump(mode="json") for name, each in config.space.items()}

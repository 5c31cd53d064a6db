"""Runs in a tuning job's container: starts the drivers of SageMaker's SDK, as a training job does.

A training job says which program its container starts; the jobs of a tuning job cannot, and their
images start their training toolkit, which would hand hyperparameters on in another form than the
SDK's drivers: ``True`` instead of ``true``, ``-C`` instead of ``--C``. So this file is the program
that the toolkit is given, and all that it does is start the drivers, without the hyperparameters
that are the toolkit's and the service's own. It needs nothing but Python 3.7 and bash.
"""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

_HYPERPARAMETERS = Path("/opt/ml/input/config/hyperparameters.json")
_SCRIPT = Path("/opt/ml/input/data/sm_drivers/sm_train.sh")
#: The line of the SDK's script after which the job's variables are set.
_SOURCED = "source /opt/ml/input/sm_training.env\n"
_TAKEN = ("sagemaker_", "_tuning_objective_metric")


def main() -> None:
    """Become the SDK's script."""
    given = json.loads(_HYPERPARAMETERS.read_text("utf-8"))
    os.execvp(  # noqa: S606 - bash is what runs the SDK's script
        "bash", ["bash", "-c", script(_SCRIPT.read_text("utf-8"), given)]
    )


def script(text: str, given: dict[str, str]) -> str:
    """Have the SDK's script hand on the script's own hyperparameters only.

    Args:
        text: The SDK's script.
        given: All hyperparameters of the job.
    """
    before, sourced, after = text.partition(_SOURCED)
    if not sourced:
        raise SystemExit(f"{_SCRIPT} is not as expected: it has no line {_SOURCED!r}")
    own = {name: _value(given[name]) for name in sorted(given) if not name.startswith(_TAKEN)}
    taken = " ".join(f"SM_HP_{name.upper()}" for name in sorted(given) if name.startswith(_TAKEN))
    lines = f"unset SM_HPS {taken}\nexport SM_HPS={shlex.quote(json.dumps(own))}\n"
    return before + sourced + lines + after


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    main()

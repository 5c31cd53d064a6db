"""Reading what tools write."""

import json
from typing import Any

from mlpipe_checks.processes import Done
from mlpipe_checks.values import Trouble


def read_json(done: Done, kind: type | tuple[type, ...]) -> Any:
    """Read a tool's output as JSON.

    Args:
        done: How the tool ended.
        kind: What the JSON must be at its top.

    Raises:
        Trouble: It is no such JSON, which tells that the tool failed.
    """
    try:
        value = json.loads(done.out)
    except ValueError:
        raise Trouble(f"it did not give a report: {done.said}") from None
    if not isinstance(value, kind):
        raise Trouble("its report is not what it should be: is its version supported?")
    return value


def line_of(text: object) -> str:
    """Give a message as one line."""
    return " ".join(str(text).split())

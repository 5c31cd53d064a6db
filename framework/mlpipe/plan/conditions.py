"""``when:``: whether a stage takes part."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from mlpipe.errors import UserError
from mlpipe.recipe.substitute import resolve_deferred
from mlpipe.recipe.yamltree import parse_value

_COMPARISON = re.compile(r"\s*(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+?)\s*")
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


def holds(when: bool | str, values: Mapping[str, Any]) -> bool:
    """Tell whether a condition holds.

    Args:
        when: ``true``, ``false``, or a comparison as ``${params.rows} > 1000``.
        values: What ``${stages.<name>.<value>}`` may refer to, by stage.

    Raises:
        UserError: It is no condition.
        Unresolvable: It refers to a value that is not known.
    """
    resolved = resolve_deferred(when, values)
    if isinstance(resolved, bool):
        return resolved
    match = _COMPARISON.fullmatch(str(resolved))
    if match is None:
        raise UserError(
            f"when: {when!r} is neither true nor false",
            fix="Write true, false, or a comparison as ${params.rows} > 1000.",
        )
    left, sign, right = match.groups()
    try:
        return _OPERATORS[sign](parse_value(left), parse_value(right))
    except (TypeError, ValueError):
        raise UserError(
            f"when: {left} and {right} cannot be compared by {sign}",
            fix="Compare numbers with numbers and text with text.",
        ) from None

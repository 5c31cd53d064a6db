"""What a service's own model demands of a request: enums, patterns, lengths, ranges.

botocore checks types and required members before it sends; the rest only the service does.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from mlpipe_awstest.errors import Refused, invalid


@cache
def _service(name: str) -> Any:
    import botocore.session

    return botocore.session.get_session().get_service_model(name)


def check(service: str, operation: str, request: dict[str, Any]) -> None:
    """Look whether a request fits the service's model.

    Raises:
        Refused: It does not; every violation is named, in AWS's words.
    """
    model = _service(service)
    if operation not in model.operation_names:
        raise Refused("UnknownOperationException", f"There is no operation {operation}.")
    shape = model.operation_model(operation).input_shape
    found = list(_violations(shape, request, "")) if shape is not None else []
    if found:
        count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected"
        raise invalid(f"{count}: {'; '.join(found)}")


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            return
        for name in shape.required_members:
            if name not in value:
                yield _said(None, f"{path}{name}", "Member must not be null")
        for name, inner in value.items():
            if name not in shape.members:
                yield _said(inner, f"{path}{name}", "Member is not known")
            else:
                yield from _violations(shape.members[name], inner, f"{path}{name}.")
    elif shape.type_name == "list" and isinstance(value, list):
        yield from _size(shape, value, path, len(value))
        for index, inner in enumerate(value, 1):
            yield from _violations(shape.member, inner, f"{path}{index}.member.")
    elif shape.type_name == "map" and isinstance(value, dict):
        yield from _size(shape, value, path, len(value))
        for key, inner in value.items():
            yield from _violations(shape.key, key, f"{path}key.")
            yield from _violations(shape.value, inner, f"{path}{key}.")
    else:
        yield from _scalar(shape, value, path)


def _scalar(shape: Any, value: Any, path: str) -> Iterator[str]:
    limits = shape.metadata
    if isinstance(value, str):
        yield from _size(shape, value, path, len(value))
        if "enum" in limits and value not in limits["enum"]:
            allowed = ", ".join(limits["enum"])
            yield _said(value, path, f"Member must satisfy enum value set: [{allowed}]")
        pattern = limits.get("pattern")
        if pattern and not _matches(pattern, value):
            yield _said(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _size(shape, value, path, value)


def _size(shape: Any, value: Any, path: str, measured: float) -> Iterator[str]:
    limits = shape.metadata
    number = isinstance(value, int | float)
    what = "value" if number else "length"
    if "min" in limits and measured < limits["min"]:
        bound = f"{what} greater than or equal to {limits['min']}"
        yield _said(value, path, f"Member must have {bound}")
    if "max" in limits and measured > limits["max"]:
        bound = f"{what} less than or equal to {limits['max']}"
        yield _said(value, path, f"Member must have {bound}")


def _matches(pattern: str, value: str) -> bool:
    try:
        # The models' patterns are Java's; what Python's re does not know is not held against one.
        return re.fullmatch(pattern, value, re.DOTALL) is not None
    except re.error:
        return True


def _said(value: Any, path: str, constraint: str) -> str:
    names = [name[:1].lower() + name[1:] for name in path.rstrip(".").split(".")]
    said = "null" if value is None else f"'{value}'"
    return f"Value {said} at '{'.'.join(names)}' failed to satisfy constraint: {constraint}"

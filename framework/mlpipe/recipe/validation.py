"""Turning what pydantic says into problems a reader of the recipe understands."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from mlpipe.recipe.problems import nearest
from mlpipe.recipe.substitute import references


@dataclass(frozen=True, slots=True)
class Explained:
    """An error of validation.

    Attributes:
        path: Where, within what was validated.
        message: What.
        hint: What to do, or ``""``.
        key: Whether the key is meant, and not its value.
        pending: Whether it may go away once the references in the value are filled in.
        wanted: What the value should be instead, where that is all that is wrong.
        given: The value, as a reader is shown it, where that is all that is wrong.
    """

    path: tuple[str | int, ...]
    message: str
    hint: str = ""
    key: bool = False
    pending: bool = False
    wanted: str = ""
    given: str = ""


def explain(error: ValidationError, model: type[BaseModel]) -> list[Explained]:
    """Explain all errors."""
    found: dict[tuple[tuple[str | int, ...], str], Explained] = {}
    for each in error.errors(include_url=False):
        of_key = each["type"] in ("extra_forbidden", "missing")
        explained = _explain(_path(each["loc"], model, whole=of_key), each, model)
        pending = not of_key and any(references(_plain(each["input"])))
        explained = replace(explained, pending=pending)
        found.setdefault((explained.path, explained.message), explained)
    return list(_without_alternatives(list(found.values())))


def _explain(path: tuple[str | int, ...], error: Any, model: type[BaseModel]) -> Explained:
    kind, given = error["type"], error["input"]
    if kind == "extra_forbidden":
        known = fields_at(model, path[:-1])
        return Explained(path, "unknown key", nearest(path[-1], known, "Known"), key=True)
    if path and path[-1] == "[key]":
        return Explained(path[:-1], "is no name", _NAMES, key=True)
    if kind == "missing":
        return Explained(path[:-1], f'"{path[-1]}" is missing', key=True)
    if kind in ("value_error", "assertion_error"):
        text = str(error["ctx"]["error"]) or "is not valid"
        return Explained(path, f"{text[0].lower()}{text[1:]}")
    if kind == "string_pattern_mismatch":
        return _mismatch(path, given, error["ctx"]["pattern"])
    if kind in ("literal_error", "enum"):
        expected = error["ctx"]["expected"]
        hint = nearest(given, re.findall(r"'([^']*)'", expected))
        return Explained(path, f"should be {expected}, and is {_show(given)}", hint)
    if kind == "union_tag_invalid":
        key, expected = error["ctx"]["discriminator"].strip("'"), error["ctx"]["expected_tags"]
        tag = error["ctx"]["tag"]
        hint = nearest(tag, re.findall(r"'([^']*)'", expected))
        return Explained((*path, key), f"should be one of {expected}, and is {_show(tag)}", hint)
    if kind == "union_tag_not_found":
        key = error["ctx"]["discriminator"].strip("'")
        return Explained(path, f'"{key}" is missing', key=True)
    if wanted := _WANTED.get(re.sub(r"_(type|parsing|from_float)$", "", kind)):
        return _should_be([wanted], path, _show(given))
    message = re.sub(r", (unable to|got) .*", "", str(error["msg"])).removeprefix("Input ")
    return Explained(path, f"{message[0].lower()}{message[1:]}, and is {_show(given)}")


#: What a value should be, by the beginning of the kinds of error that say it is another type.
_WANTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}


def _should_be(wanted: Sequence[str], path: tuple[str | int, ...], given: str) -> Explained:
    *others, last = wanted
    text = f"{', '.join(others)} or {last}" if others else last
    return Explained(path, f"should be {text}, and is {given}", wanted=wanted[0], given=given)


_NAMES = "Names have letters, digits, _ and -, and begin with a letter."


def _mismatch(path: tuple[str | int, ...], given: Any, pattern: str) -> Explained:
    if ":" in pattern:
        return Explained(path, f"{_show(given)} is no function", "Write module:function.")
    if "ipynb" in pattern:
        return Explained(path, f"{_show(given)} is no notebook", "Write the path of an .ipynb.")
    if pattern.startswith("^[A-Za-z]"):
        return Explained(path, f"{_show(given)} is no name", _NAMES)
    return Explained(path, f"{_show(given)} does not match {pattern}")


def _show(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value) if isinstance(value, str | int | float | bool) else f"a {_kind(value)}"
    return text if len(text) < 60 else text[:59] + "…"


def _kind(value: Any) -> str:
    if isinstance(value, Mapping):
        return "mapping"
    return "list" if isinstance(value, list) else type(value).__name__


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | list | dict) else ""


def _path(
    location: Sequence[str | int], model: type[BaseModel], *, whole: bool
) -> tuple[str | int, ...]:
    """Leave out of a location what names a member of a union and no place in the data.

    Args:
        location: As pydantic gives it.
        model: What was validated.
        whole: Whether the last part is a key in any case.
    """
    path: list[str | int] = []
    annotation: Any = model
    for position, part in enumerate(location):
        last = whole and position == len(location) - 1
        options = list(_options(annotation))
        step = next((s for o in options if (s := _step(o, part)) is not None), None)
        if step is None and part != "[key]" and len(options) > 1 and not last:
            continue
        path.append(part)
        annotation = step
    return tuple(path)


def fields_at(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """Give the keys that a model knows at a path."""
    annotations: list[Any] = [model]
    for part in path:
        annotations = [
            step
            for each in annotations
            for option in _options(each)
            if (step := _step(option, part)) is not None
        ]
    names: list[str] = []
    for each in annotations:
        for option in _options(each):
            if isinstance(option, type) and issubclass(option, BaseModel):
                names.extend(info.alias or name for name, info in option.model_fields.items())
    return names


def _options(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for each in get_args(annotation):
            yield from _options(each)
    else:
        yield annotation


def _step(annotation: Any, part: str | int) -> Any:
    """Give the annotation of what stands at a key or index, or ``None``."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and origin is None and issubclass(annotation, BaseModel):
        for name, info in annotation.model_fields.items():
            if part in (name, info.alias):
                return info.annotation
        return None
    arguments = get_args(annotation)
    if origin is dict and arguments:
        return arguments[1]
    if origin in (list, tuple) and arguments and isinstance(part, int):
        return arguments[0]
    return None


def _without_alternatives(found: list[Explained]) -> Iterator[Explained]:
    """Of several complaints about one value, one for each member of a union, make one.

    Where each says which type it should be, all types are said; else the first complaint stays.
    """
    alternatives: dict[tuple[str | int, ...], list[Explained]] = {}
    for each in found:
        if not each.key:
            alternatives.setdefault(each.path, []).append(each)
    for each in found:
        if each.key:
            yield each
        elif same := alternatives.pop(each.path, None):
            wanted = list(dict.fromkeys(other.wanted for other in same))
            if _WANTED["float"] in wanted and _WANTED["int"] in wanted:
                wanted.remove(_WANTED["int"])
            if len(wanted) > 1 and all(wanted):
                joined = _should_be(wanted, each.path, each.given)
                yield replace(joined, pending=each.pending)
            else:
                yield each

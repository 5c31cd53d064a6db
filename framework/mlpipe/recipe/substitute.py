"""``${...}``: parameters and environment at load, other stages' values and the run later.

A scalar that is one reference takes the value with its type; within a longer text the value
is written out. ``$${`` stands for ``${``.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlpipe.errors import UserError
from mlpipe.recipe.problems import nearest

_REFERENCE = re.compile(r"\$?\$\{([^{}]*)\}")
_OPENING = re.compile(r"\$?\$\{[^{}]*\}?")


@dataclass(frozen=True, slots=True)
class Reference:
    """A ``${...}``.

    Attributes:
        root: ``params``, ``env``, ``run`` or ``stages``.
        rest: The dotted rest.
    """

    root: str
    rest: str

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Read what stands between the braces."""
        root, _, rest = text.strip().partition(".")
        return cls(root, rest)

    def __str__(self) -> str:
        return f"${{{self.root}.{self.rest}}}"

    @property
    def deferred(self) -> bool:
        """Whether its value is known only in a run."""
        return self.root in ("run", "stages")

    @property
    def stage(self) -> tuple[str, str]:
        """For a stage's value: the stage's name and the value's."""
        name, _, value = self.rest.partition(".")
        return name, value


class Unresolvable(UserError):
    """A reference has no value."""


#: Gives a reference's value, or the reference itself to leave it as it is.
Lookup = Callable[[Reference], Any]


def substitute(value: Any, lookup: Lookup, *, final: bool = False) -> Any:
    """Replace the references in a JSON value.

    Args:
        value: Any JSON value.
        lookup: Gives values.
        final: Whether to turn ``$${`` into ``${``; done last, and once.
    """
    if isinstance(value, str):
        return _text(value, lookup, final=final) if "${" in value else value
    if isinstance(value, Mapping):
        return {key: substitute(item, lookup, final=final) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item, lookup, final=final) for item in value]
    return value


def _text(text: str, lookup: Lookup, *, final: bool) -> Any:
    whole = _REFERENCE.fullmatch(text)
    if whole is not None and not text.startswith("$$"):
        found = lookup(Reference.parse(whole[1]))
        return text if isinstance(found, Reference) else found

    def replace(match: re.Match[str]) -> str:
        if match[0].startswith("$$"):
            return match[0][1:] if final else match[0]
        found = lookup(Reference.parse(match[1]))
        if isinstance(found, Reference):
            return match[0]
        return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)

    return _REFERENCE.sub(replace, text)


def references(value: Any) -> Iterator[Reference]:
    """Yield all references in a JSON value."""
    return (reference for _, reference, _ in located_references(value, ()))


def located_references(
    value: Any, path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Reference, str]]:
    """Yield each reference in a JSON value, with its path and as it is written."""
    if isinstance(value, str):
        if "${" in value:
            for match in _REFERENCE.finditer(value):
                if not match[0].startswith("$$"):
                    yield path, Reference.parse(match[1]), match[0]
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from located_references(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from located_references(item, (*path, index))


def malformed(text: str) -> Iterator[str]:
    """Yield each ``${`` of a text that is neither a reference nor escaped, with what follows."""
    for match in _OPENING.finditer(text):
        if not match[0].startswith("$$") and not match[0].endswith("}"):
            yield match[0]


def resolve_deferred(value: Any, values: Mapping[str, Mapping[str, Any]]) -> Any:
    """Fill in values of other stages.

    Args:
        value: Any JSON value.
        values: What is known, by stage.

    Raises:
        Unresolvable: A value is not known.
    """

    def lookup(reference: Reference) -> Any:
        if reference.root != "stages":
            return reference
        stage, name = reference.stage
        if name not in values.get(stage, {}):
            known = ", ".join(values.get(stage, {})) or "none"
            raise Unresolvable(
                f'stage "{stage}" gave no value "{name}"',
                where=str(reference),
                fix=f"Its values: {known}.",
            )
        return values[stage][name]

    return substitute(value, lookup)


def resolve_run(value: Any, run: str) -> Any:
    """Fill in the run's identifier, the last thing that is filled in."""
    return substitute(value, lambda each: run if each.root == "run" else each, final=True)


def unescaped(value: Any) -> Any:
    """Turn ``$${`` into ``${`` in a value whose references have all been filled in."""
    return substitute(value, lambda each: each, final=True)


def resolve_static(value: Any, params: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    """Fill in parameters and environment.

    Args:
        value: Any JSON value.
        params: The parameters, their own references filled in.
        environ: The environment.

    Raises:
        Unresolvable: There is no such parameter or variable, or no such kind of reference.
    """

    def lookup(reference: Reference) -> Any:
        if reference.root == "params":
            return find_parameter(reference.rest, params)
        return look_up_other(reference, environ)

    return substitute(value, lookup)


def look_up_other(reference: Reference, environ: Mapping[str, str]) -> Any:
    """Give the value of a reference that is to no parameter; a deferred one is left as it is.

    Raises:
        Unresolvable: There is no such variable, or no such kind of reference.
    """
    if reference.deferred:
        _check_deferred(reference)
        return reference
    if reference.root != "env":
        raise Unresolvable(
            f"there is no ${{{reference.root}…}}",
            fix="There are ${params.NAME}, ${env.NAME}, ${run.id} and ${stages.STAGE.VALUE}."
            " Write $${ for a plain ${.",
        )
    if reference.rest not in environ:
        raise Unresolvable(
            f"the environment variable {reference.rest} is not set",
            fix=f"Set {reference.rest}, or make it a parameter with a default.",
        )
    return environ[reference.rest]


def find_parameter(name: str, params: Mapping[str, Any]) -> Any:
    """Give a parameter's value by dotted name.

    Raises:
        Unresolvable: There is none.
    """
    found: Any = params
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            raise no_parameter(name, part, found)
        found = found[part]
    return found


def no_parameter(name: str, part: str, among: Any) -> Unresolvable:
    """Make the error of a parameter that is not there.

    Args:
        name: Its dotted name.
        part: The part of it that is not found.
        among: What that part is looked for in.
    """
    known = list(among) if isinstance(among, Mapping) else []
    return Unresolvable(f'there is no parameter "{name}"', fix=nearest(part, known, "Parameters"))


def _check_deferred(reference: Reference) -> None:
    if reference.root == "run" and reference.rest != "id":
        raise Unresolvable(f"there is no {reference}", fix="There is ${run.id}.")
    if reference.root == "stages" and not all(reference.stage):
        raise Unresolvable(f"{reference} names no value", fix="Write ${stages.STAGE.VALUE}.")

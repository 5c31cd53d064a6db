"""Parameters: what the recipe declares, what the command line overrides, what they come to."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlpipe.errors import UserError
from mlpipe.recipe.loaded import Source
from mlpipe.recipe.problems import Problem, RecipeError, nearest
from mlpipe.recipe.substitute import (
    Reference,
    Unresolvable,
    look_up_other,
    no_parameter,
    substitute,
)
from mlpipe.recipe.yamltree import KeyPath, build, parse_value, read

#: Characters and values that one parameter may come to, what it refers to included.
_MAX_SIZE = 1 << 20
_MAX_CHAIN = 50


def parse_set(text: str) -> tuple[str, Any]:
    """Read ``params.NAME=VALUE`` (``params.`` may be left out); the value is YAML.

    Raises:
        UserError: It is no such text.
    """
    name, sign, value = text.partition("=")
    name = name.strip().removeprefix("params.")
    if not sign or not all(name.split(".")):
        raise UserError(f"--set {text}: is no assignment", fix="Write --set params.NAME=VALUE.")
    try:
        return name, parse_value(value)
    except ValueError:  # as [0-9 or a: b: c, which is meant as it is written
        return name, value


def load_params(path: Path) -> dict[str, Any]:
    """Read a file of parameters, YAML or JSON.

    Raises:
        RecipeError: It cannot be read, or is no mapping.
    """
    values, problems = build(read(path, "A file of parameters has NAME: VALUE on each line."))
    if problems:
        raise RecipeError(problems)
    return values


class Parameters:
    """Fills in the references of parameters to each other and to the environment.

    Args:
        raw: The parameters as they are written.
        source: Where they stand.
        environ: What ``${env.NAME}`` refers to.
    """

    def __init__(self, raw: Mapping[str, Any], source: Source, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._raw = raw
        self._source = source
        self._environ = environ
        self._known: dict[KeyPath, tuple[Any, int]] = {}
        self._open: list[KeyPath] = []

    def values(self) -> dict[str, Any]:
        """Give all parameters; what cannot be filled in is a problem, and left as it is."""
        return {name: self._at((name,), value)[0] for name, value in self._raw.items()}

    def _at(self, path: KeyPath, value: Any) -> tuple[Any, int]:
        """Give the value at a path, and its size."""
        if path not in self._known:
            self._known[path] = self._filled(path, value)
        return self._known[path]

    def _filled(self, path: KeyPath, value: Any) -> tuple[Any, int]:
        if isinstance(value, Mapping):
            items = {key: self._at((*path, key), item) for key, item in value.items()}
            return {key: item for key, (item, _) in items.items()}, _total(items.values())
        if isinstance(value, list):
            parts = [self._at((*path, index), item) for index, item in enumerate(value)]
            return [item for item, _ in parts], _total(parts)
        if not isinstance(value, str):
            return value, 1
        return self._leaf(path, value) if "${" in value else (value, len(value))

    def _leaf(self, path: KeyPath, text: str) -> tuple[Any, int]:
        if path in self._open or len(self._open) >= _MAX_CHAIN:
            raise self._circle(path)
        self._open.append(path)
        try:
            return self._text(text)
        except Unresolvable as error:
            where = ("params", *path)
            self.problems.append(self._source.problem(where, error.what, error.fix or ""))
            return text, len(text)
        finally:
            self._open.pop()

    def _text(self, text: str) -> tuple[Any, int]:
        sizes = []

        def lookup(reference: Reference) -> Any:
            if reference.root != "params":
                return look_up_other(reference, self._environ)
            found, size = self._find(reference.rest)
            sizes.append(size)
            if sum(sizes) > _MAX_SIZE:
                raise Unresolvable(f"comes to more than {_MAX_SIZE:,} characters and values")
            return found

        filled = substitute(text, lookup)
        return filled, max(sum(sizes), len(filled) if isinstance(filled, str) else 1)

    def _find(self, name: str) -> tuple[Any, int]:
        """Give the value and size of a parameter by dotted name."""
        path: KeyPath = ()
        value: Any = self._raw
        for part in name.split("."):
            if isinstance(value, str) and "${" in value:
                value = self._at(path, value)[0]
            if not isinstance(value, Mapping) or part not in value:
                raise no_parameter(name, part, value)
            path, value = (*path, part), value[part]
        return self._at(path, value)

    def _circle(self, path: KeyPath) -> Unresolvable:
        if path not in self._open:
            return Unresolvable(f"refers to other parameters more than {_MAX_CHAIN} deep")
        trail = [".".join(map(str, each)) for each in self._open[self._open.index(path) :]]
        return Unresolvable(f"refers to itself: {' → '.join([*trail, trail[0]])}")


def overridden(
    declared: Mapping[str, Any],
    overrides: Mapping[str, Any],
    source: Source,
    problems: list[Problem],
    path: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Lay the command line's parameters over the recipe's; those it has not are problems."""
    result = dict(declared)
    for name, value in overrides.items():
        old = declared.get(name)
        if name not in declared and (not path or declared):
            dotted = ".".join((*path, name))
            hint = nearest(name, declared, "Parameters")
            where = ("params", *path)
            problems.append(source.problem(where, f'there is no parameter "{dotted}"', hint))
        elif isinstance(old, Mapping) and isinstance(value, Mapping):
            result[name] = overridden(old, value, source, problems, (*path, name))
        else:
            result[name] = value
    return result


def _total(parts: Iterable[tuple[Any, int]]) -> int:
    return 1 + sum(size for _, size in parts)

"""Filling in ``${...}`` everywhere in a recipe; what cannot be is a problem where it stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpipe.recipe.loaded import Source
from mlpipe.recipe.problems import Problem
from mlpipe.recipe.substitute import (
    Unresolvable,
    located_references,
    malformed,
    resolve_static,
    unescaped,
)
from mlpipe.recipe.yamltree import KeyPath

#: The keys of a stage in which other stages' values, or the run's, may stand.
_LATE = {"with": ("run", "stages"), "when": ("stages",)}


@dataclass(frozen=True, slots=True)
class Filling:
    """Fills in parameters and environment, and checks what is left for the run.

    Attributes:
        source: Where the recipe stands.
        params: The parameters, their own references filled in.
        environ: What ``${env.NAME}`` refers to.
        problems: What was found.
    """

    source: Source
    params: Mapping[str, Any]
    environ: Mapping[str, str]
    problems: list[Problem]

    def recipe(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in a recipe."""
        filled = {key: self._key(key, value) for key, value in data.items() if key != "params"}
        return {**filled, **({"params": dict(self.params)} if "params" in data else {})}

    def _key(self, key: str, value: Any) -> Any:
        if key != "stages" or not isinstance(value, Mapping):
            return self._final(value, (key,))
        return {name: self._stage(name, stage) for name, stage in value.items()}

    def _stage(self, name: str, stage: Any) -> Any:
        if not isinstance(stage, Mapping):
            stage = self._fill(stage, ("stages", name))
        if not isinstance(stage, Mapping):
            return stage
        return {
            key: self._late(value, ("stages", name, key), _LATE[key])
            if key in _LATE
            else self._final(value, ("stages", name, key))
            for key, value in stage.items()
        }

    def _late(self, value: Any, path: KeyPath, allowed: tuple[str, ...]) -> Any:
        filled = self._fill(value, path)
        self._check_late(filled, path, allowed)
        return filled

    def _final(self, value: Any, path: KeyPath) -> Any:
        filled = self._fill(value, path)
        self._check_late(filled, path, ())
        return unescaped(filled)

    def _check_late(self, value: Any, path: KeyPath, allowed: tuple[str, ...]) -> None:
        for where, reference, written in located_references(value, path):
            if reference.deferred and reference.root not in allowed:
                message = f"{reference} is known only in a run"
                where_it_can = "with: and when:" if reference.root == "stages" else "with:"
                hint = f"Only {where_it_can} can hold it."
                self.problems.append(self.source.problem(where, message, hint, within=written))

    def _fill(self, value: Any, path: KeyPath) -> Any:
        if isinstance(value, str):
            return self._text(value, path) if "${" in value else value
        if isinstance(value, Mapping):
            return {key: self._fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._fill(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def _text(self, text: str, path: KeyPath) -> Any:
        for written in malformed(text):
            hint = "Close it by }, or write $${ for a plain ${."
            message = "this ${ begins no reference"
            self.problems.append(self.source.problem(path, message, hint, within=written))
        try:
            return resolve_static(text, self.params, self.environ)
        except Unresolvable:
            self._unresolvable(text, path)
            return text

    def _unresolvable(self, text: str, path: KeyPath) -> None:
        for _, _, written in located_references(text, ()):
            try:
                resolve_static(written, self.params, self.environ)
            except Unresolvable as error:
                problem = self.source.problem(path, error.what, error.fix or "", within=written)
                self.problems.append(problem)

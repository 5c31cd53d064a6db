"""Reading a recipe: parse, extend, override, substitute, validate, check."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mlpipe.errors import UserError
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.checks import Checker
from mlpipe.recipe.loaded import LoadedRecipe, LoadedStage, Source
from mlpipe.recipe.models import Recipe
from mlpipe.recipe.problems import Problem, RecipeError, nearest
from mlpipe.recipe.project import find, project_root
from mlpipe.recipe.substitute import (
    Unresolvable,
    located_references,
    references,
    resolve_static,
)
from mlpipe.recipe.validation import explain
from mlpipe.recipe.yamltree import Tree, build, merge, read
from mlpipe.types import Target

_TYPES = ("local", "aws")


def load(
    path: Path,
    *,
    plugins: PluginManager,
    params: Mapping[str, Any] | None = None,
    target: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedRecipe:
    """Read a recipe's file and check all of it.

    Args:
        path: The file.
        plugins: What is installed.
        params: Parameters to override, nested as in the recipe.
        target: Where to run; ``local`` when left out.
        environ: What ``${env.NAME}`` refers to; the environment when left out.

    Raises:
        RecipeError: With every problem.
    """
    tree = _extended(path, ())
    data, problems = build(tree)
    data.setdefault("name", path.stem)
    source = Source(path, tree)
    root = project_root(path.resolve().parent)
    return _loaded(data, source, root, problems, plugins, params or {}, target, environ)


def from_model(
    recipe: Recipe,
    root: Path,
    *,
    plugins: PluginManager,
    params: Mapping[str, Any] | None = None,
    target: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedRecipe:
    """Check a recipe that was built in Python, as ``load`` does.

    Args:
        recipe: The recipe.
        root: The project's folder.
        plugins: As for ``load``; so are the rest.
        params: Parameters to override.
        target: Where to run.
        environ: What ``${env.NAME}`` refers to.
    """
    data = recipe.model_dump(mode="json", by_alias=True, exclude_unset=True)
    source = Source(root)
    return _loaded(data, source, root.resolve(), [], plugins, params or {}, target, environ)


def parse_set(text: str) -> tuple[str, Any]:
    """Read ``params.NAME=VALUE`` (``params.`` may be left out); the value is YAML.

    Raises:
        UserError: It is no such text.
    """
    name, sign, value = text.partition("=")
    name = name.strip().removeprefix("params.")
    if not sign or not name:
        raise UserError(f"--set {text}: is no assignment", fix="Write --set params.NAME=VALUE.")
    try:
        return name, yaml.safe_load(value) if value else ""
    except yaml.YAMLError:
        return name, value


def load_params(path: Path) -> dict[str, Any]:
    """Read a file of parameters, YAML or JSON.

    Raises:
        RecipeError: It cannot be read, or is no mapping.
    """
    values, problems = build(read(path))
    if problems:
        raise RecipeError(problems)
    return values


def _extended(path: Path, chain: tuple[Path, ...]) -> Tree:
    tree = read(path)
    base, _ = build(tree)
    parent = base.get("extends")
    if not isinstance(parent, str):
        return tree
    other = path.parent / parent
    if other.resolve() in (path.resolve(), *(each.resolve() for each in chain)):
        names = " → ".join(str(each.name) for each in (*chain, path, other))
        raise RecipeError([tree.problem(("extends",), f"recipes extend each other: {names}")])
    if not other.is_file():
        hint = nearest(other.name, [each.name for each in sorted(other.parent.glob("*.y*ml"))])
        raise RecipeError([tree.problem(("extends",), f'there is no recipe "{parent}"', hint)])
    return merge(_extended(other, (*chain, path)), tree)


def _loaded(
    data: dict[str, Any],
    source: Source,
    root: Path,
    problems: list[Problem],
    plugins: PluginManager,
    overrides: Mapping[str, Any],
    target: str | None,
    environ: Mapping[str, str] | None,
) -> LoadedRecipe:
    environ = os.environ if environ is None else environ
    params = _params(data, source, problems, overrides, environ)
    filled = _filled(data, source, problems, params, environ)
    recipe = _validated(filled, source, problems)
    names = dict.fromkeys(filled["stages"])
    stages = Checker(recipe, source, root, plugins, problems, names.keys()).stages()
    chosen = _target(recipe, source, problems, target)
    if problems:
        raise RecipeError(problems)
    return LoadedRecipe(recipe, source, root, params, chosen, stages)


def _validated(data: dict[str, Any], source: Source, problems: list[Problem]) -> Recipe:
    """Validate a recipe; what is wrong is reported and left out, so that the rest is checked."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        found = explain(error, Recipe)
    problems.extend(
        source.problem(each.path, each.message, each.hint, key=each.key) for each in found
    )
    try:
        return Recipe.model_validate(_without(data, [each.path for each in found]))
    except ValidationError:
        raise RecipeError(problems or [source.problem((), "is no recipe")]) from None


def _without(data: dict[str, Any], paths: list[tuple[str | int, ...]]) -> dict[str, Any]:
    """Leave out top-level keys, stages' keys, or stages whose ``uses`` is wrong."""
    kept = dict(data)
    stages = kept.get("stages")
    kept["stages"] = dict(stages) if isinstance(stages, Mapping) else {}
    for path in paths:
        if path[:1] != ("stages",) or len(path) < 2:
            kept.pop(str(path[0]) if path else "", None)
            continue
        stage = kept["stages"].get(path[1])
        if len(path) == 2 or path[2] == "uses" or not isinstance(stage, Mapping):
            kept["stages"].pop(path[1], None)
        else:
            kept["stages"][path[1]] = {k: v for k, v in stage.items() if k != path[2]}
    return kept


def _params(
    data: Mapping[str, Any],
    source: Source,
    problems: list[Problem],
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
) -> dict[str, Any]:
    declared = data.get("params") or {}
    if not isinstance(declared, Mapping):
        return {}
    raw = dict(declared)
    for name, value in overrides.items():
        if name not in raw:
            hint = nearest(name, raw, "Its parameters")
            problems.append(source.problem(("params",), f'there is no parameter "{name}"', hint))
        elif isinstance(value, Mapping) and isinstance(raw[name], Mapping):
            raw[name] = _overlaid(raw[name], value)
        else:
            raw[name] = value
    return _resolved_params(raw, source, problems, environ)


def _overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = _overlaid(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _resolved_params(
    raw: dict[str, Any], source: Source, problems: list[Problem], environ: Mapping[str, str]
) -> dict[str, Any]:
    """Fill in parameters that refer to the environment or to other parameters."""
    values = raw
    for _ in range(len(raw) + 1):
        try:
            following = {
                name: resolve_static(value, values, environ) for name, value in values.items()
            }
        except (Unresolvable, RecursionError):
            break
        if following == values:
            if all(reference.deferred for reference in references(values)):
                return values
            break
        values = following
    reported = len(problems)
    for name, value in raw.items():
        try:
            resolve_static(value, raw, environ)
        except Unresolvable as error:
            problems.append(source.problem(("params", name), error.what, error.fix or ""))
    if len(problems) == reported:
        problems.append(source.problem(("params",), "parameters refer to each other in a circle"))
    return raw


def _filled(
    data: dict[str, Any],
    source: Source,
    problems: list[Problem],
    params: Mapping[str, Any],
    environ: Mapping[str, str],
) -> dict[str, Any]:
    """Fill in references everywhere; report those that cannot be, each where it stands."""

    def fill(value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, str):
            if "${" not in value:
                return value
            try:
                return resolve_static(value, params, environ)
            except Unresolvable:
                problems.extend(_unresolvable(value, path, source, params, environ))
                return value
        if isinstance(value, Mapping):
            return {key: fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, (*path, i)) for i, item in enumerate(value)]
        return value

    rest = {key: fill(value, (key,)) for key, value in data.items() if key != "params"}
    return {**rest, **({"params": dict(params)} if "params" in data else {})}


def _unresolvable(
    text: str,
    path: tuple[str | int, ...],
    source: Source,
    params: Mapping[str, Any],
    environ: Mapping[str, str],
) -> Iterator[Problem]:
    for _, _, written in located_references(text, ()):
        try:
            resolve_static(written, params, environ)
        except Unresolvable as error:
            yield source.problem(path, error.what, error.fix or "", within=written)


def _target(recipe: Recipe, source: Source, problems: list[Problem], name: str | None) -> Target:
    name = name or "local"
    for each, spec in recipe.targets.items():
        if spec.type is None and each not in _TYPES:
            message = "a target of this name needs a type"
            problems.append(source.problem(("targets", each), message, "Add type: local or aws."))
    if name not in recipe.targets and name != "local":
        hint = nearest(name, dict.fromkeys(("local", *recipe.targets)), "Its targets")
        problems.append(source.problem(("targets",), f'there is no target "{name}"', hint))
    found = recipe.targets.get(name)
    kind = (found.type if found else None) or (name if name in _TYPES else "local")
    return Target(name, kind, found.settings() if found else {})


__all__ = [
    "LoadedRecipe",
    "LoadedStage",
    "find",
    "from_model",
    "load",
    "load_params",
    "parse_set",
    "project_root",
]

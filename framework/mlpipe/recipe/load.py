"""Reading a recipe: parse, extend, override, substitute, validate, check."""

import gc
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.channels import Channels, unquoted
from mlpipe.recipe.checks import Checker
from mlpipe.recipe.extends import read_extended
from mlpipe.recipe.filling import Filling
from mlpipe.recipe.loaded import LoadedRecipe, LoadedStage, Source
from mlpipe.recipe.models import Recipe
from mlpipe.recipe.params import Parameters, load_params, overridden, parse_set
from mlpipe.recipe.problems import Problem, RecipeError, nearest
from mlpipe.recipe.project import find, project_root
from mlpipe.recipe.substitute import located_references, unescaped
from mlpipe.recipe.validation import explain
from mlpipe.recipe.yamltree import build
from mlpipe.types import Target

_TYPES = ("local", "aws")


def load(
    path: Path,
    *,
    plugins: PluginManager,
    params: Mapping[str, Any] | None = None,
    target: str | None = None,
    environ: Mapping[str, str] | None = None,
    starts: bool = True,
) -> LoadedRecipe:
    """Read a recipe's file and check all of it.

    Args:
        path: The file.
        plugins: What is installed.
        params: Parameters to override, nested as in the recipe.
        target: Where to run; ``local`` when left out.
        environ: What ``${env.NAME}`` refers to; the environment when left out.
        starts: Whether the recipes that missed gates start are checked as well.

    Raises:
        RecipeError: With every problem.
    """
    with _without_garbage_collection():
        tree, problems = read_extended(path)
        data, more = build(tree)
        data.setdefault("name", re.sub(r"[^A-Za-z0-9_-]+", "-", path.stem))
        source = Source(path, tree)
        root = project_root(path.resolve().parent)
        found = [*problems, *more]
        loaded = _loaded(data, source, root, found, plugins, params or {}, target, environ)
        return _with_starts(loaded, plugins, environ) if starts else loaded


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

    Raises:
        RecipeError: With every problem.
    """
    data = recipe.model_dump(mode="json", by_alias=True, exclude_unset=True)
    source = Source(root)
    problems = []
    if recipe.extends is not None:
        problems.append(source.problem(("extends",), "only a recipe in a file can extend another"))
    loaded = _loaded(data, source, root.resolve(), problems, plugins, params or {}, target, environ)
    return _with_starts(loaded, plugins, environ)


def _with_starts(
    loaded: LoadedRecipe, plugins: PluginManager, environ: Mapping[str, str] | None
) -> LoadedRecipe:
    """Find and check the recipes that missed gates start, so that they can be when they must."""
    problems: list[Problem] = []
    starts: dict[str, Path] = {}
    for name, stage in loaded.stages.items():
        told = stage.spec.on_gate_failure
        if told is None or told.run is None:
            continue
        at = ("stages", name, "on_gate_failure", "run")
        try:
            path = find(told.run, loaded.root)
            load(path, plugins=plugins, target=loaded.target.name, environ=environ, starts=False)
            starts[name] = path
        except RecipeError as error:
            problems += (_elsewhere(loaded.source, at, told.run, each) for each in error.problems)
    if problems:
        raise RecipeError(problems)
    return replace(loaded, starts=starts)


def _elsewhere(source: Source, at: tuple[str, ...], name: str, problem: Problem) -> Problem:
    where = f"{problem.place}: " if problem.path else ""
    path = f"{problem.path}: " if problem.path else ""
    hint = f"{problem.hint} " if problem.hint else ""
    return source.problem(at, f"{where}{path}{problem.message}", f"{hint}See mlpipe plan {name}.")


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Put off the collector: a large recipe is many objects, and all of them stay.

    Of 10,000 stages it takes a third of the time to load them.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


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
    _check_secrets(data, source, problems)
    params = _params(data, source, problems, overrides, environ)
    filled = Filling(source, params, environ, problems).recipe(data)
    recipe = _validated(filled, source, problems)
    names = list(filled["stages"])
    recipe = Channels(recipe, source, plugins, problems).given()
    checker = Checker(recipe, source, root, plugins, params, problems, names)
    stages = checker.stages()
    chosen = _target(recipe, source, problems, target)
    if problems:
        raise RecipeError(problems)
    secrets = frozenset(checker.observer_secrets)
    return LoadedRecipe(
        recipe, source, root, unescaped(params), chosen, stages, observer_secrets=secrets
    )


def _check_secrets(data: Mapping[str, Any], source: Source, problems: list[Problem]) -> None:
    """Report references to secrets, whose values would be written into the run's record."""
    stages = data.get("stages")
    specs = stages.values() if isinstance(stages, Mapping) else ()
    lists = [spec.get("secrets") for spec in specs if isinstance(spec, Mapping)]
    secrets = {name for each in lists if isinstance(each, list | str) for name in _names(each)}
    for where, reference, written in located_references(data, ()) if secrets else ():
        if reference.root == "env" and reference.rest in secrets:
            message = f"{reference.rest} is a secret, and this would write it into the run's record"
            hint = "Let the stage's code read it from its environment."
            problems.append(source.problem(where, message, hint, within=written))


def _names(value: list[Any] | str) -> list[str]:
    return [value] if isinstance(value, str) else [each for each in value if isinstance(each, str)]


def _params(
    data: Mapping[str, Any],
    source: Source,
    problems: list[Problem],
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
) -> dict[str, Any]:
    declared = data.get("params")
    raw = declared if isinstance(declared, Mapping) else {}
    parameters = Parameters(overridden(raw, overrides, source, problems), source, environ)
    values = parameters.values()
    problems.extend(parameters.problems)
    return values


def _validated(data: dict[str, Any], source: Source, problems: list[Problem]) -> Recipe:
    """Validate a recipe; what is wrong is reported and left out, so that the rest is checked."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        found = explain(error, Recipe)
    # A value that could not be filled in is a problem already.
    shown = [each for each in found if not each.pending or not problems]
    problems.extend(
        unquoted(source.problem(each.path, each.message, each.hint, key=each.key)) for each in shown
    )
    try:
        return Recipe.model_validate(_without(data, [each.path for each in found]))
    except ValidationError:
        raise RecipeError(problems or [source.problem((), "is no recipe")]) from None


def _without(data: dict[str, Any], paths: list[tuple[str | int, ...]]) -> dict[str, Any]:
    """Leave out what is wrong, as little as leaves the rest to make sense."""
    kept: dict[str, Any] = {"name": "recipe", "stages": {}, **data}
    for path in paths:
        depth = 2
        if path[:1] == ("stages",):
            depth = 2 if path[2:] in (("uses",), ("with",)) else 4
        kept = _dropped(kept, path[:depth])
    return {"name": "recipe", "stages": {}, **kept}


def _dropped(value: Mapping[Any, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    """Leave out what is at a path, or the last mapping's item on the way there."""
    first, inner = path[:1], value.get(path[0]) if path else None
    if len(path) > 1 and isinstance(inner, Mapping):
        return {**value, path[0]: _dropped(inner, path[1:])}
    return {key: item for key, item in value.items() if (key,) != first}


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

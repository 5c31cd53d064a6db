"""What several commands share: options, loading a recipe, opening a project's state."""

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mlpipe.errors import UserError
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe, find, load, load_params, parse_set, project_root
from mlpipe.store import STATE_DIR

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="A recipe: its path, or its name in recipes/.")
]
TargetOption = Annotated[
    str | None, typer.Option("--target", "-t", help="Where to run: local, or a target it names.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="params.NAME=VALUE", help="Override a parameter; repeatable."),
]
ParamsOption = Annotated[
    Path | None, typer.Option("--params", help="A YAML or JSON file with parameters to override.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON, for machines.")]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A recipe, and the plugins it was checked against."""

    recipe: LoadedRecipe
    plugins: PluginManager


def load_recipe(
    name: str, target: str | None, assignments: list[str] | None, params: Path | None
) -> Loaded:
    """Find and load a recipe with the parameters of the command line.

    Raises:
        RecipeError: The recipe has problems.
    """
    overrides: dict[str, Any] = dict(load_params(params)) if params else {}
    for assignment in assignments or []:
        key, value = parse_set(assignment)
        _assign(overrides, key, value)
    plugins = PluginManager.discover()
    path = find(name, Path.cwd())
    return Loaded(load(path, params=overrides, target=target, plugins=plugins), plugins)


def _assign(values: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for parent in parents:
        inner = values.get(parent)
        values[parent] = dict(inner) if isinstance(inner, Mapping) else {}
        values = values[parent]
    values[last] = value


def find_project() -> Path:
    """Give the project's folder for commands that name no recipe.

    Raises:
        UserError: Nothing was ever run here.
    """
    root = project_root(Path.cwd())
    if not (root / STATE_DIR / "state.db").exists():
        raise UserError(
            "nothing was run here yet",
            where=str(root),
            fix="Go to a project's folder, or run a recipe: mlpipe run RECIPE",
        )
    return root


def command_line() -> str:
    """Give the present command as a user would type it."""
    return shlex.join(["mlpipe", *sys.argv[1:]])

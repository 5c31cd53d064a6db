"""Running recipes, and putting releases into service, from Python."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpipe.engine import aftermath, releasing, telling
from mlpipe.engine.execute import Options, execute
from mlpipe.engine.releasing import Serving
from mlpipe.engine.reporting import Reporter, RunResult
from mlpipe.engine.session import session
from mlpipe.plan.make import make
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe, find, from_model, load
from mlpipe.recipe.models import Recipe
from mlpipe.store import opened
from mlpipe.store.naming import choose
from mlpipe.types import Release


def run(
    recipe: Recipe | str | Path,
    *,
    params: Mapping[str, Any] | None = None,
    target: str | None = None,
    root: str | Path | None = None,
    jobs: int = 0,
    keep_going: bool = False,
    reporter: Reporter | None = None,
) -> RunResult:
    """Run a recipe, as ``mlpipe run`` does.

    Args:
        recipe: A recipe built in Python, or the name or path of a file.
        params: Parameters to override.
        target: Where to run; ``local`` when left out.
        root: The project's folder, for a recipe built in Python; the working folder when left
            out.
        jobs: How many stages may run at once; 0 for one a core.
        keep_going: Whether what does not depend on a failed stage still runs.
        reporter: Shows the run; nothing is shown when left out.

    Returns:
        How the run ended. A failed stage does not raise; see ``RunResult.ok``. What its missed
        gates started has ended as well.

    Raises:
        RecipeError: The recipe has problems; nothing was run.
    """
    plugins = PluginManager.discover()
    overrides = dict(params or {})
    if isinstance(recipe, Recipe):
        folder = Path(root) if root is not None else Path.cwd()
        loaded = from_model(recipe, folder, params=overrides, target=target, plugins=plugins)
    else:
        path = find(str(recipe), Path.cwd())
        loaded = load(path, params=overrides, target=target, plugins=plugins)
    options = Options(jobs or os.cpu_count() or 1, keep_going)
    with session(loaded, plugins, read_only=False) as ready:
        result = execute(
            make(ready.assessor),
            ready.assessor,
            ready.store,
            plugins,
            ready.executor,
            options,
            reporter,
        )
    for each in aftermath.started(result, loaded):
        aftermath.start(each, result, loaded, plugins, options, lambda: reporter)
    return result


def load_recipe(
    name: str, *, params: Mapping[str, Any] | None = None, target: str | None = None
) -> LoadedRecipe:
    """Read a recipe and check all of it, as ``mlpipe run`` does before it runs.

    Args:
        name: The name or path of a file.
        params: Parameters to override.
        target: Where it would run; ``local`` when left out.

    Returns:
        Its stages by name, each with its checked settings; its target, and the project's folder.

    Raises:
        RecipeError: There is no such recipe, or it has problems.
    """
    path = find(name, Path.cwd())
    return load(path, params=params, target=target, plugins=PluginManager.discover())


def promote(release: Release, root: str | Path) -> Serving:
    """Put a new release of something that is in service into its place, outside of a run.

    It is recorded before, and afterwards; in between the plugin that made the release before it
    does what its ``rollback`` hook does. Should this process die meanwhile, the next command
    completes it.

    Args:
        release: What is to be in service; the ledger labels it.
        root: The project's folder.

    Raises:
        UserError: No recipe released anything of that kind and name here.
        StageError: It is not in service.
    """
    with opened(Path(root)) as store:
        return releasing.promote(store, release)


def roll_back(name: str, root: str | Path, *, to: str | None = None) -> Serving:
    """Put an earlier release into service again, as ``mlpipe rollback`` does.

    Args:
        name: ``[KIND/]NAME``.
        root: The project's folder.
        to: The release's label; the one in service before when left out.

    Raises:
        UserError: There is no such release.
        StageError: It is not in service.
    """
    with opened(Path(root)) as store:
        return releasing.roll_back(store, choose(store, name, to))


def emit(root: str | Path, run: str, stage: str, kind: str, **payload: Any) -> tuple[str, ...]:
    """Tell a run's observers something of a stage that has ended, as ``Stage.emit`` does before.

    Args:
        root: The project's folder.
        run: The run's identifier; nothing is told where it is not known, or has no observers.
        stage: The stage's name.
        kind: What it is; see the hook ``stage_event``.
        payload: JSON values.

    Returns:
        What observers reported.
    """
    with opened(Path(root)) as store:
        return tuple(telling.emit(store, run, stage, kind, payload))

"""Running recipes from Python."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpipe.engine.execute import Options, execute
from mlpipe.engine.reporting import Reporter, RunResult
from mlpipe.engine.session import session
from mlpipe.plan.make import make
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import find, from_model, load
from mlpipe.recipe.models import Recipe


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
        How the run ended. A failed stage does not raise; see ``RunResult.ok``.

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
    with session(loaded, plugins, read_only=False) as opened:
        return execute(
            make(opened.assessor),
            opened.assessor,
            opened.store,
            plugins,
            opened.executor,
            Options(jobs or os.cpu_count() or 1, keep_going),
            reporter,
        )

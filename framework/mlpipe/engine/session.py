"""What planning and running a recipe need, opened and closed together."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import Any

from mlpipe.engine.outside import WorkerOutside
from mlpipe.engine.releasing import complete
from mlpipe.engine.requests import Requests, secret_names
from mlpipe.engine.workers import Executor, LocalExecutor
from mlpipe.errors import UserError
from mlpipe.plan.assess import Assessor
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe
from mlpipe.store import Store, opened

_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Session:
    """A recipe with its plugins, its project's store, and who judges and runs its stages.

    ``completed`` says what other commands had left undone, a line each.
    """

    recipe: LoadedRecipe
    plugins: PluginManager
    store: Store
    executor: Executor
    assessor: Assessor
    completed: tuple[str, ...] = ()


@contextmanager
def session(
    recipe: LoadedRecipe,
    plugins: PluginManager,
    *,
    read_only: bool,
    offline: bool = False,
    force: frozenset[str] = frozenset(),
    verify: bool = False,
) -> Iterator[Session]:
    """Open what planning a recipe needs, and running it unless ``read_only``.

    Args:
        recipe: What is planned or run.
        plugins: Who serves its stages.
        read_only: Change no state.
        offline: Ask nothing of the world outside.
        force: Names of stages to run even if nothing changed.
        verify: Digest every byte of cached outputs.
    """
    with ExitStack() as stack:
        store = stack.enter_context(opened(recipe.root, read_only=read_only))
        requests = Requests(recipe, plugins, store.folder)
        stack.callback(requests.discard)
        executor: Executor = stack.enter_context(closing(_executor(recipe, plugins, store)))
        outside = WorkerOutside(executor, requests)
        assessor = Assessor(
            recipe, store, plugins, None if offline else outside, force=force, verify=verify
        )
        completed = () if read_only else tuple(complete(store))
        yield Session(recipe, plugins, store, executor, assessor, completed)


def _executor(recipe: LoadedRecipe, plugins: PluginManager, store: Store) -> Any:
    name, settings = _named(recipe)
    factory = LocalExecutor if name == _LOCAL else _factory(name, plugins)
    return factory(
        root=recipe.root,
        state_dir=store.folder,
        plugins=frozenset(
            {*(stage.plugin for stage in recipe.stages.values()), *recipe.recipe.observers}
        ),
        preload=recipe.recipe.preload,
        withhold=secret_names(recipe),
        **settings,
    )


def _named(recipe: LoadedRecipe) -> tuple[str, dict[str, Any]]:
    executor = recipe.recipe.executor
    if isinstance(executor, str) or executor is None:
        return executor or _LOCAL, {}
    name, settings = next(iter(executor.items()))
    return name, dict(settings or {})


def _factory(name: str, plugins: PluginManager) -> Callable[..., Any]:
    """Ask every healthy plugin for the executor of a name."""
    known: dict[str, Callable[..., Any]] = {}
    for each in plugins.names():
        plugin = plugins.get(each)
        if plugin.implements("register_executors"):
            for found in plugin.hooks().hook.register_executors():
                known.update(found)
    if name not in known:
        names = ", ".join(sorted({_LOCAL, *known}))
        raise UserError(f'unknown executor "{name}"', fix=f"Executors: {names}.")
    return known[name]

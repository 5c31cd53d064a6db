"""The variables that observers want stages to have."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe


class ObserverVariables:
    """Asks a recipe's observers.

    Args:
        recipe: The recipe.
        plugins: Who the observers are.
        run: The run's identifier, or ``""`` while planning.
        warn: Told of an observer that raises; the stage runs without its variables.
    """

    def __init__(
        self, recipe: LoadedRecipe, plugins: PluginManager, run: str, warn: Callable[[str], None]
    ) -> None:
        self._recipe = recipe
        self._plugins = plugins
        self._run = run
        self._warn = warn

    def of(self, stage: str) -> dict[str, str]:
        """Give a stage's variables."""
        recipe = self._recipe
        found: dict[str, str] = {}
        for name, hook, config in self._asked:
            try:
                for each in hook.stage_environment(
                    config=config, recipe=recipe.name, run=self._run, stage=stage, root=recipe.root
                ):
                    found.update(each)
            except Exception as error:  # a plugin may raise anything
                self._warn(f"observer {name}: stage_environment: {error}")
        return found

    @cached_property
    def _asked(self) -> list[tuple[str, Any, Any]]:
        asked: list[tuple[str, Any, Any]] = []
        for name, settings in self._recipe.recipe.observers.items():
            plugin = self._plugins.get(name)
            schema = plugin.observer_config()
            if schema is not None and plugin.implements("stage_environment"):
                asked.append((name, plugin.hooks().hook, schema.model_validate(dict(settings))))
        return asked

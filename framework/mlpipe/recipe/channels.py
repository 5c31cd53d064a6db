"""The channels of ``notify:``: handed to the observers that notify, and checked where named."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.loaded import Source
from mlpipe.recipe.models import Recipe
from mlpipe.recipe.problems import Problem, nearest
from mlpipe.recipe.yamltree import KeyPath

#: The field of an observer's settings that takes the channels.
_FIELD = "channels"


@dataclass(frozen=True, slots=True)
class Channels:
    """Hands a recipe's channels to whoever serves them.

    Attributes:
        recipe: Whose channels.
        source: Where it stands.
        plugins: What is installed.
        problems: What was found.
    """

    recipe: Recipe
    source: Source
    plugins: PluginManager
    problems: list[Problem]

    def given(self) -> Recipe:
        """Give the recipe with its channels as settings of the observers that notify."""
        if not self.recipe.notify:
            return self.recipe
        self._check_names()
        notifying = list(_notifying(self.plugins))
        if not notifying:
            hint = "Install one that does."
            message = "no plugin that is installed sends notifications"
            self.problems.append(self.source.problem(("notify",), message, hint, key=True))
        observers = dict(self.recipe.observers)
        for name in notifying:
            observers[name] = {**observers.get(name, {}), _FIELD: dict(self.recipe.notify)}
        return self.recipe.model_copy(update={"observers": observers})

    def _check_names(self) -> None:
        for stage, spec in self.recipe.stages.items():
            told = spec.on_gate_failure.notify if spec.on_gate_failure else []
            for name in told:
                if name not in self.recipe.notify:
                    at = ("stages", stage, "on_gate_failure", "notify")
                    hint = nearest(name, self.recipe.notify, "Its channels")
                    message = f'there is no channel "{name}"'
                    self.problems.append(self.source.problem(at, message, hint, within=name))


def path_of_channel(path: KeyPath, recipe: Recipe, plugins: PluginManager) -> KeyPath | None:
    """Give where in the recipe a setting of a channel stands, or ``None`` for another setting."""
    if not recipe.notify or len(path) < 3 or (path[0], path[2]) != ("observers", _FIELD):
        return None
    return ("notify", *path[3:]) if path[1] in set(_notifying(plugins)) else None


def unquoted(problem: Problem) -> Problem:
    """Say what is wrong with a channel without repeating what stands there: it may be a secret."""
    if problem.path.partition(".")[0] != "notify":
        return problem
    return replace(problem, message=problem.message.partition(", and is ")[0], source="")


def _notifying(plugins: PluginManager) -> Iterator[str]:
    for name in plugins.names():
        schema = plugins.get(name).observer_config()
        if schema is not None and schema.notifies:
            yield name

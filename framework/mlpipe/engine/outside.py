"""Looking at the outside world for the planner, in workers."""

from collections.abc import Mapping
from typing import Any

from mlpipe.engine.requests import Requests
from mlpipe.engine.workers import Executor, once
from mlpipe.recipe.load import LoadedStage
from mlpipe.types import Action, Artifact


class WorkerOutside:
    """Calls ``resolve`` and ``preview`` in workers.

    Args:
        executor: Runs them.
        requests: Makes the jobs.
    """

    def __init__(self, executor: Executor, requests: Requests) -> None:
        self._executor = executor
        self._requests = requests

    def resolve(
        self, stage: LoadedStage, settings: Mapping[str, Any], inputs: Mapping[str, Artifact]
    ) -> Mapping[str, str]:
        """Call the plugin's hook ``resolve``."""
        given, _ = once(self._executor, self._requests.make("resolve", stage, settings, inputs))
        return {str(key): str(value) for key, value in given.items()}

    def preview(
        self, stage: LoadedStage, settings: Mapping[str, Any], inputs: Mapping[str, Artifact]
    ) -> tuple[Action, ...]:
        """Call the plugin's hook ``preview``."""
        given, _ = once(self._executor, self._requests.make("preview", stage, settings, inputs))
        return tuple(Action(**action) for action in given)

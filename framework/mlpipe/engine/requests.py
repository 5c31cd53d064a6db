"""Making jobs from planned stages."""

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlpipe.engine.environments import ObserverVariables
from mlpipe.engine.jobs import Job
from mlpipe.errors import StageError
from mlpipe.plan.fingerprint import lookup
from mlpipe.plugins.manager import PluginManager
from mlpipe.recipe.load import LoadedRecipe, LoadedStage
from mlpipe.recipe.substitute import resolve_run
from mlpipe.types import Artifact


def _quietly(_message: str) -> None:
    """Leave it: whoever runs the plan is told."""


class Requests:
    """Makes jobs for the stages of a recipe.

    Args:
        recipe: Whose stages.
        plugins: Who serves them.
        state_dir: The project's ``.mlpipe``.
        run: The run's identifier, or ``""`` while planning.
        warn: Told of observers that fail to say which variables a stage should have.
    """

    def __init__(
        self,
        recipe: LoadedRecipe,
        plugins: PluginManager,
        state_dir: Path,
        run: str = "",
        warn: Callable[[str], None] = _quietly,
    ) -> None:
        self._recipe = recipe
        self._plugins = plugins
        self._state_dir = state_dir
        self._run = run
        self._variables = ObserverVariables(recipe, plugins, run, warn)

    def make(
        self,
        hook: str,
        stage: LoadedStage,
        settings: Mapping[str, Any],
        inputs: Mapping[str, Artifact],
        *,
        attempt: int = 1,
        key: str = "",
        identities: Mapping[str, str] | None = None,
    ) -> Job:
        """Make the job that calls a hook for a stage.

        Args:
            hook: Which.
            stage: The stage.
            settings: Its ``with:`` block, all references resolved.
            inputs: Its inputs.
            attempt: 1 for the first.
            key: Its idempotency key.
            identities: What outside inputs are, as the plan has it.

        Raises:
            StageError: A secret of the stage is not in the environment.
        """
        config = stage.config or stage.validate(settings)
        target = self._recipe.target
        return Job(
            hook=hook,
            plugin=stage.plugin,
            verb=stage.verb.name,
            settings=resolve_run(settings, self._run),
            stage={
                "name": stage.name,
                "recipe": self._recipe.name,
                "run": self._run,
                "attempt": attempt,
                "key": key,
                "env": dict(stage.spec.env),
                "scratch": str(self.scratch(stage.name, attempt, hook)),
                "identities": dict(identities or {}),
                "params": {name: lookup(self._recipe.params, name) for name in config.parameters()},
            },
            target={"name": target.name, "type": target.type, "settings": dict(target.settings)},
            inputs={name: _artifact(artifact) for name, artifact in inputs.items()},
            environment={**self._variables.of(stage.name), **stage.spec.env},
            secrets=secrets_of(stage),
            wrappers=self._wrappers(stage),
        )

    def scratch(self, stage: str, attempt: int, hook: str) -> Path:
        """Give the folder of an attempt's own."""
        return self._folder / f"{stage}.{attempt}.{hook}"

    def discard(self) -> None:
        """Remove the attempts' folders."""
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _folder(self) -> Path:
        return self._state_dir / "scratch" / (self._run or f"plan-{os.getpid()}")

    def _wrappers(self, stage: LoadedStage) -> tuple[str, ...]:
        names = [name for name in self._recipe.recipe.observers if name != stage.plugin]
        return tuple(n for n in names if stage.verb.name in self._plugins.get(n).wrappers)


def _artifact(artifact: Artifact) -> dict[str, Any]:
    # Written out, because dataclasses.asdict copies deeply: it takes ten times as long.
    return {
        "name": artifact.name,
        "digest": artifact.digest,
        "location": artifact.location,
        "size": artifact.size,
    }


def secrets_of(stage: LoadedStage) -> dict[str, str]:
    """Give the values of a stage's secrets, from the environment.

    Raises:
        StageError: One is not set.
    """
    missing = [name for name in stage.spec.secrets if name not in os.environ]
    if missing:
        raise StageError(
            f"secret {missing[0]} is not set",
            where=f"stages.{stage.name}.secrets",
            fix=f"Set the environment variable {missing[0]} and run again.",
        )
    return {name: os.environ[name] for name in stage.spec.secrets}


def secret_names(recipe: LoadedRecipe) -> frozenset[str]:
    """Give the names of all secrets of a recipe."""
    of_stages = (name for stage in recipe.stages.values() for name in stage.spec.secrets)
    return recipe.observer_secrets.union(of_stages)

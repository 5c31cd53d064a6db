"""A recipe that was read and found right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mlpipe.plugins.config import Declares, StageConfig
from mlpipe.recipe.gates import Gate
from mlpipe.recipe.models import Recipe, StageSpec
from mlpipe.recipe.problems import Place, Problem, RecipeError
from mlpipe.recipe.substitute import resolve_run
from mlpipe.recipe.validation import explain
from mlpipe.recipe.yamltree import Tree
from mlpipe.types import Target, Verb


@dataclass(frozen=True, slots=True)
class LoadedStage:
    """A stage of a recipe, its plugin found and its settings checked.

    Attributes:
        name: Its name in the recipe.
        plugin: Who serves it.
        verb: The verb it calls.
        spec: What the recipe says.
        schema: The type of its settings.
        config: Its settings, or ``None`` where they wait for another stage's value.
        raw_with: The ``with:`` block, parameters and environment filled in.
        inputs: By name, the stage and output that each is from.
        upstream: Stages that come before it, in the recipe's order.
        declares: What it will produce.
        gates: Bounds on its metrics.
        source: Where it stands, for problems found later.
    """

    name: str
    plugin: str
    verb: Verb
    spec: StageSpec
    schema: type[StageConfig]
    config: StageConfig | None
    raw_with: Mapping[str, Any]
    inputs: Mapping[str, tuple[str, str]]
    upstream: tuple[str, ...]
    declares: Declares
    gates: tuple[Gate, ...]
    source: "Source"

    def validate(self, settings: Mapping[str, Any]) -> StageConfig:
        """Check settings whose references have been filled in.

        Raises:
            RecipeError: They do not fit the plugin's schema.
        """
        try:
            return self.schema.model_validate(resolve_run(settings, "run"))
        except ValidationError as error:
            path = ("stages", self.name, "with")
            found = explain(error, self.schema)
            raise RecipeError(
                [self.source.problem((*path, *e.path), e.message, e.hint, key=e.key) for e in found]
            ) from None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a recipe's values stand: in a file, or nowhere when it was built in Python.

    Attributes:
        path: The recipe's file, or the project's folder.
        tree: The file's nodes.
    """

    path: Path
    tree: Tree | None = field(default=None, repr=False)

    def problem(
        self,
        path: Sequence[str | int],
        message: str,
        hint: str = "",
        *,
        key: bool = False,
        within: str = "",
    ) -> Problem:
        """Make a problem at a path: at its key, at its value, or at a text within its value."""
        if self.tree is None:
            return Problem(Place(self.path), ".".join(map(str, path)), message, hint)
        return self.tree.problem(path, message, hint, key=key, within=within)


@dataclass(frozen=True, slots=True)
class LoadedRecipe:
    """A recipe without problems, ready to be planned.

    Attributes:
        recipe: What it says.
        source: Where.
        root: The project's folder.
        params: Its parameters, overrides included.
        target: Where it runs.
        stages: By name, in an order in which they can run.
        starts: By stage, the file of the recipe that is run when its gate is missed.
        observer_secrets: Names of the secrets that its observers use.
    """

    recipe: Recipe
    source: Source
    root: Path
    params: Mapping[str, Any]
    target: Target
    stages: Mapping[str, LoadedStage]
    starts: Mapping[str, Path] = field(default_factory=dict)
    observer_secrets: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The recipe's name."""
        return self.recipe.name

    @property
    def path(self) -> Path:
        """The recipe's file, or the project's folder when it was built in Python."""
        return self.source.path

"""The values that planning gives: verdicts, changes, planned stages, the plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from mlpipe.recipe.load import LoadedRecipe, LoadedStage
from mlpipe.store.results import Record
from mlpipe.types import Action, Artifact


class Verdict(StrEnum):
    """What a plan says of a stage."""

    RUN = "run"
    CACHED = "cached"
    IN_PLACE = "in place"
    #: Its ``when:`` says no, or it depends on a stage whose does.
    SKIPPED = "skipped"
    #: The command line left it out.
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is not as it was when the last result was made.

    Attributes:
        subject: What it is, as ``max_depth`` or ``train.py → features.py:encode()``.
        detail: How it changed, as ``4 → 6`` or ``changed (line 31)``.
    """

    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.subject} {self.detail}"


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """A stage in a plan.

    Attributes:
        stage: What the recipe says.
        verdict: What will happen.
        reason: Why, in a few words.
        changes: All that changed since the stage's newest result.
        fingerprint: Of all that goes in; ``None`` while an earlier stage has to run first.
        components: What goes in, by name.
        record: The result to use, for a hit or what is in place.
        actions: What a verb with effects would do.
        identities: What outside inputs are right now, by name.
        restore: Outputs to put at their declared paths again.
        absent: Outputs of a hit whose bytes are not on this machine.
        settings: The ``with:`` block, all references resolved that could be.
        warnings: What the user should know.
    """

    stage: LoadedStage
    verdict: Verdict
    reason: str
    changes: tuple[Change, ...] = ()
    fingerprint: str | None = None
    components: Mapping[str, Any] = field(default_factory=dict)
    record: Record | None = None
    actions: tuple[Action, ...] = ()
    identities: Mapping[str, str] = field(default_factory=dict)
    restore: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The stage's name."""
        return self.stage.name


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages in order, each with its verdict.

    Attributes:
        recipe: What is planned.
        stages: By name, in an order in which they can run.
    """

    recipe: LoadedRecipe
    stages: Mapping[str, PlannedStage]

    def with_verdict(self, *verdicts: Verdict) -> list[PlannedStage]:
        """Give the stages that have one of these verdicts."""
        return [each for each in self.stages.values() if each.verdict in verdicts]

    @property
    def warnings(self) -> list[str]:
        """All that the user should know."""
        return [warning for each in self.stages.values() for warning in each.warnings]


class Outside(Protocol):
    """Looks at the world outside, read-only, in a process that may import an SDK."""

    def resolve(
        self, stage: LoadedStage, settings: Mapping[str, Any], inputs: Mapping[str, Artifact]
    ) -> Mapping[str, str]:
        """Call the plugin's hook ``resolve``; without inputs where they are not all known.

        Raises:
            MlpipeError: The source cannot be resolved.
        """
        ...

    def preview(
        self, stage: LoadedStage, settings: Mapping[str, Any], inputs: Mapping[str, Artifact]
    ) -> tuple[Action, ...]:
        """Call the plugin's hook ``preview``.

        Raises:
            MlpipeError: The plugin cannot tell.
        """
        ...

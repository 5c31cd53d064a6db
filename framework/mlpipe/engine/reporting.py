"""What the runner tells whoever shows a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from mlpipe.plan.values import Plan
from mlpipe.store.runs import RunState, StageState
from mlpipe.types import Release


@dataclass(frozen=True, slots=True)
class StageReport:
    """How a stage stands.

    Attributes:
        name: The stage.
        uses: Its plugin and verb.
        state: How it stands.
        seconds: How long its last attempt took; 0 for a hit.
        text: A few words: the summary, the reason, the missed gate.
        attempt: 1 for the first.
        error: ``what``, ``where``, ``fix``; or ``None``.
        metrics: Numbers by name.
        kept: Files for people that its last attempt kept, relative to the project's folder.
    """

    name: str
    uses: str
    state: StageState
    seconds: float = 0.0
    text: str = ""
    attempt: int = 0
    error: Mapping[str, Any] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunResult:
    """How a run ended.

    Attributes:
        run: Its identifier; ``""`` where nothing had to be recorded.
        state: How it ended.
        seconds: How long it took.
        stages: By name, in the plan's order.
        releases: What was put where.
        warnings: What the user should know.
        resume: The command that continues, or ``""``.
    """

    run: str
    state: RunState
    seconds: float
    stages: Mapping[str, StageReport]
    releases: tuple[Release, ...] = ()
    warnings: tuple[str, ...] = ()
    resume: str = ""

    @property
    def ok(self) -> bool:
        """Whether all that was asked for is done."""
        return self.state is RunState.DONE

    @property
    def metrics(self) -> dict[str, float]:
        """All metrics, by ``stage.metric``."""
        return {
            f"{name}.{metric}": value
            for name, stage in self.stages.items()
            for metric, value in stage.metrics.items()
        }


class Reporter(Protocol):
    """Shows a run as it goes. Called by the runner; must not block."""

    def run_started(self, run: str, plan: Plan) -> None:
        """The run has begun."""

    def stage_started(self, report: StageReport) -> None:
        """An attempt has begun."""

    def stage_said(self, stage: str, line: str) -> None:
        """A stage wrote to its log; ``line`` is the last whole line."""

    def stage_finished(self, report: StageReport) -> None:
        """A stage is settled."""

    def warning(self, text: str) -> None:
        """Something the user should know."""

    def tick(self) -> None:
        """Called several times a second."""

    def run_finished(self, result: RunResult) -> None:
        """The run has ended."""


class Silent:
    """Shows nothing."""

    def run_started(self, run: str, plan: Plan) -> None:
        """The run has begun."""

    def stage_started(self, report: StageReport) -> None:
        """An attempt has begun."""

    def stage_said(self, stage: str, line: str) -> None:
        """A stage wrote to its log."""

    def stage_finished(self, report: StageReport) -> None:
        """A stage is settled."""

    def warning(self, text: str) -> None:
        """Something the user should know."""

    def tick(self) -> None:
        """Called several times a second."""

    def run_finished(self, result: RunResult) -> None:
        """The run has ended."""

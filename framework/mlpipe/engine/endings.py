"""How a stage ended, in the forms that the store, observers and the terminal take."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlpipe.engine.judging import describe
from mlpipe.engine.reporting import StageReport
from mlpipe.plan.values import PlannedStage
from mlpipe.store.results import Record
from mlpipe.store.runs import StageState


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of a stage.

    Attributes:
        planned: The stage.
        state: How it ended.
        attempt: Which attempt it was; 0 when none was begun.
        started: Unix time in seconds, or ``None``.
        finished: The same.
        record: Its result, or ``None``.
        text: A few words for people; made from the rest when left out.
        error: What was wrong, or ``None``.
    """

    planned: PlannedStage
    state: StageState
    attempt: int = 0
    started: float | None = None
    finished: float | None = None
    record: Record | None = None
    text: str = ""
    error: Mapping[str, Any] | None = None

    @property
    def summary(self) -> str:
        """The few words for people."""
        return self.text or describe(self.planned, self.state, self.record)

    @property
    def seconds(self) -> float:
        """How long the attempt took."""
        return self.finished - self.started if self.started and self.finished else 0.0

    @property
    def metrics(self) -> Mapping[str, float]:
        """The result's metrics."""
        return self.record.metrics if self.record else {}

    def row(self) -> dict[str, Any]:
        """Give what the store records."""
        return {
            "state": self.state,
            "attempt": self.attempt,
            "started": self.started,
            "finished": self.finished,
            "summary": self.summary,
            "metrics": self.metrics,
            "error": self.error,
        }

    def event(self) -> dict[str, Any]:
        """Give the data of the event ``stage_finished``, without the log's path."""
        outputs = self.record.outputs if self.record else {}
        return {
            "state": self.state,
            "attempt": self.attempt,
            "seconds": self.seconds,
            "metrics": dict(self.metrics),
            "values": dict(self.record.values) if self.record else {},
            "outputs": {
                name: {"digest": output.digest, "location": output.location}
                for name, output in outputs.items()
            },
            "error": self.error,
            "summary": self.summary,
        }

    def report(self, kept: tuple[str, ...]) -> StageReport:
        """Give what is shown.

        Args:
            kept: Paths of the files that the stage kept for people.
        """
        return StageReport(
            self.planned.name,
            self.planned.stage.spec.uses,
            self.state,
            self.seconds,
            self.summary,
            self.attempt,
            self.error,
            self.metrics,
            kept,
        )

"""An attempt of a stage that is running."""

from dataclasses import dataclass

from mlpipe.plan.values import PlannedStage


@dataclass(slots=True)
class Attempt:
    """A stage that is running.

    Attributes:
        planned: What runs, as judged when it began.
        number: 1 for the first attempt.
        key: The idempotency key.
        started: Unix time in seconds.
        deadline: When it is stopped, on the monotonic clock; ``None`` for never.
        ending: Why it is being stopped, or ``""``.
        kill_at: When it is killed if it does not stop.
    """

    planned: PlannedStage
    number: int
    key: str
    started: float
    deadline: float | None
    ending: str = ""
    kill_at: float | None = None

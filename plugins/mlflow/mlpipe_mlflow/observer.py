"""The tracking observer: what each event of a run becomes in MLflow.

An observer is told at least once, so every handler looks what is there before it adds.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from mlpipe import Event, ObserverContext, UserError
from mlpipe_mlflow import handlers
from mlpipe_mlflow.config import TrackingConfig
from mlpipe_mlflow.connection import connect, unreachable
from mlpipe_mlflow.location import shown, tracking_uri
from mlpipe_mlflow.tracker import Tracker

#: How long a server that does not answer is left alone, in seconds.
REST = 30.0

_HANDLERS: Mapping[str, Callable[[Tracker, Event], None]] = MappingProxyType(
    {
        "run_started": handlers.run_started,
        "stage_started": handlers.stage_started,
        "stage_event": handlers.stage_event,
        "stage_finished": handlers.stage_finished,
        "run_finished": handlers.run_finished,
        "gate_failed": handlers.gate_failed,
        "released": handlers.released,
        "rolled_back": handlers.rolled_back,
    }
)


@dataclass(slots=True)
class Link:
    """The observer's connection, as long as its process lives.

    Attributes:
        tracker: What writes, once there was an event.
        starts: The events ``run_started``, by run, for a server that did not hear them.
        resting_until: Monotonic time until which the server is left alone.
        missed: How many events it was not told.
    """

    tracker: Tracker | None = None
    starts: dict[str, Event] = field(default_factory=dict)
    resting_until: float = 0.0
    missed: int = 0


def tell(config: TrackingConfig, event: Event, context: ObserverContext) -> None:
    """Track an event.

    Raises:
        UserError: The tracking server does not answer. It is left alone for a while; events
            until then are counted and not tracked.
    """
    link: Link = context.memory.setdefault("link", Link())
    if event.kind == "run_started":
        link.starts[event.run] = event
    if time.monotonic() < link.resting_until:
        link.missed += 1
        return
    uri = tracking_uri(config.tracking_uri, context.root)
    try:
        if link.tracker is None:
            link.tracker = connect(uri, config, context, link.starts)
        if (event.kind, event.data.get("kind")) != ("stage_event", "metrics"):
            link.tracker.metrics.flush()
        _HANDLERS[event.kind](link.tracker, event)
    except Exception as error:
        if not unreachable(error):
            raise
        link.resting_until = time.monotonic() + REST
        link.missed += 1
        raise _no_answer(uri) from error
    if link.missed:
        context.report(f"{shown(uri)} answers again; {link.missed} events were not tracked")
        link.missed = 0
    if event.kind == "run_finished":
        link.starts.pop(event.run, None)


def _no_answer(uri: str) -> UserError:
    return UserError(
        f"{shown(uri)} does not answer, so this is not tracked; the run goes on",
        fix="Start the tracking server, or name another: observers.mlflow.tracking_uri.",
    )

"""Reaching MLflow: with its telemetry off, and without waiting long for a dead server."""

import atexit
import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mlpipe import Event, ObserverContext
from mlpipe_mlflow.config import TrackingConfig
from mlpipe_mlflow.location import artifact_root, project_id
from mlpipe_mlflow.tracker import Tracker

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Set where the user has not. MLflow's own: seven retries of two minutes each.
_SETTINGS = (
    ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
    ("MLFLOW_HTTP_REQUEST_TIMEOUT", "20"),
    ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false"),  # a stage's log is for its own words
    # The project's lock file is no part of a model.
    ("MLFLOW_UV_AUTO_DETECT", "false"),
)


def connect(
    uri: str, config: TrackingConfig, context: ObserverContext, starts: Mapping[str, Event]
) -> Tracker:
    """Make a tracker. Imports MLflow, which takes seconds.

    Args:
        uri: Where to track.
        config: The observer's settings.
        context: The observer's surroundings.
        starts: The events ``run_started`` that this process was told, by run.
    """
    local = uri.startswith("sqlite:")
    tracker = Tracker(
        client=client(uri, context.state_dir),
        config=config,
        context=context,
        project=project_id(context.state_dir),
        artifacts=artifact_root(context.root).as_uri() if local else None,
        starts=starts,
    )
    atexit.register(_flush_quietly, tracker)
    return tracker


def client(uri: str, state_dir: Path) -> "MlflowClient":
    """Make MLflow's client. Imports MLflow, which takes seconds.

    Args:
        uri: Where to track.
        state_dir: The project's ``.mlpipe``.
    """
    for name, value in _SETTINGS:
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    registry = os.environ.get("MLFLOW_REGISTRY_URI")
    if not uri.startswith("sqlite:"):
        return MlflowClient(tracking_uri=uri, registry_uri=registry)
    # Two processes that make a database's tables at once make neither's.
    folder = state_dir / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "database.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = MlflowClient(tracking_uri=uri, registry_uri=registry)
        made.search_experiments(max_results=1)
    return made


def unreachable(error: BaseException) -> bool:
    """Tell whether an error means that nobody answered, as MLflow wraps it."""
    import requests

    kinds = (
        requests.exceptions.ConnectionError,
        requests.exceptions.Timeout,
        requests.exceptions.RetryError,
    )
    return any(isinstance(each, kinds) for each in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _flush_quietly(tracker: Tracker) -> None:
    with suppress(Exception):  # the process ends; there is nobody left to tell
        tracker.metrics.flush()

"""Experiments between variants: verdict, effects and page, on the run of the stage that began."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpipe import Event
from mlpipe_mlflow.tracker import Tracker
from mlpipe_mlflow.writing import log_metrics, log_tags, milliseconds, valid_name

_PREFIX = "experiment"


def log(tracker: Tracker, event: Event, run: str, payload: Mapping[str, Any]) -> None:
    """Log how an experiment stands; its metrics by the number of units.

    Args:
        tracker: What writes.
        event: The event.
        run: The stage's MLflow run.
        payload: ``name``, ``units``, ``tags``, ``metrics``, and ``report``, the page's file.
    """
    from mlflow.entities import Metric

    when, step = milliseconds(event), int(payload["units"])
    metrics = [
        Metric(valid_name(f"{_PREFIX}.{name}"), float(value), when, step)
        for name, value in payload["metrics"].items()
    ]
    log_metrics(tracker.client, run, metrics)
    tags = {f"mlpipe.{_PREFIX}.{name}": str(value) for name, value in payload["tags"].items()}
    log_tags(tracker.client, run, {f"mlpipe.{_PREFIX}": payload["name"], **tags})
    page = Path(payload["report"])
    if page.is_file():
        tracker.client.log_text(run, page.read_text("utf-8"), f"{_PREFIX}/report.html")
    else:
        tracker.context.report(f"{event.stage}: the page {page} is not here to be kept")

"""Writing to a run in batches, with names and values as MLflow takes them."""

import json
import posixpath
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    from mlpipe import Event

# MLflow's limits: characters of names and values, entries of one batch.
_NAME = 250
_PARAM = 6000
_TAG = 8000
_PER_BATCH = 100
_METRICS_PER_BATCH = 1000

#: A batch is written at once when the last was this long ago, in seconds; else it waits.
PAUSE = 0.5

_Item = TypeVar("_Item")


def milliseconds(event: "Event") -> int:
    """Give an event's time as MLflow counts it."""
    return int(event.time * 1000)


def valid_name(name: str) -> str:
    """Give a name that MLflow takes for a parameter or metric."""
    name = re.sub(r"[^\w.\- :/]", "_", name)[:_NAME]
    normal = posixpath.normpath(name)
    if normal != name or normal.startswith((".", "/")):
        return name.replace("/", "_").strip(".") or "_"
    return name


def tag_value(text: str) -> str:
    """Give a text that MLflow takes for a tag."""
    return _short(text, _TAG)


def quoted(text: str) -> str:
    """Write a text for MLflow's filter language."""
    return f'"{text}"' if "'" in text else f"'{text}'"


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Write nested settings as parameters: dotted names, values as JSON but for text."""
    found: dict[str, str] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found.update(flat(value, f"{name}."))
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str)
            found[valid_name(name)] = _short(text, _PARAM)
    return found


def log_params(client: "MlflowClient", run: str, params: Mapping[str, str]) -> None:
    """Log those parameters that a run does not have. MLflow lets none change."""
    from mlflow.entities import Param

    known = client.get_run(run).data.params
    missing = [Param(name, value) for name, value in params.items() if name not in known]
    for batch in _batches(missing, _PER_BATCH):
        client.log_batch(run, params=batch)


def log_tags(client: "MlflowClient", run: str, tags: Mapping[str, str]) -> None:
    """Set tags."""
    from mlflow.entities import RunTag

    entries = [RunTag(name, tag_value(value)) for name, value in tags.items()]
    for batch in _batches(entries, _PER_BATCH):
        client.log_batch(run, tags=batch)


def log_metrics(client: "MlflowClient", run: str, metrics: "Sequence[Metric]") -> None:
    """Log metrics. Those that are there with the same time, step and value are left alone."""
    for batch in _batches(metrics, _METRICS_PER_BATCH):
        client.log_batch(run, metrics=batch)


def log_once(
    client: "MlflowClient", run: str, metrics: "Sequence[Metric]", params: Mapping[str, str]
) -> None:
    """Log metrics and parameters of a run that has none, in as few writes as can be."""
    from mlflow.entities import Param

    entries = [Param(name, value) for name, value in params.items()]
    room = _METRICS_PER_BATCH - _PER_BATCH  # a batch of all kinds has no room for more
    for some, more in zip_longest(
        _batches(metrics, room), _batches(entries, _PER_BATCH), fillvalue=()
    ):
        client.log_batch(run, metrics=some, params=more)


def log_final_metrics(
    client: "MlflowClient", run: str, values: Mapping[str, float], when: int
) -> None:
    """Log metrics so that these values are the ones that count, adding none that already do.

    Args:
        client: MLflow.
        run: The run's MLflow identifier.
        values: By name.
        when: Milliseconds.
    """
    from mlflow.entities import Metric

    latest = client.get_run(run).data.metrics
    metrics = []
    for name, value in ((valid_name(name), value) for name, value in values.items()):
        if name not in latest:
            metrics.append(Metric(name, value, when, 0))
        elif latest[name] != value and not (latest[name] != latest[name] and value != value):
            step = max(each.step for each in client.get_metric_history(run, name))
            metrics.append(Metric(name, value, when, step))
    log_metrics(client, run, metrics)


class MetricBuffer:
    """Gathers live metrics, so that a burst of them is a few writes and not thousands.

    Args:
        client: MLflow.
    """

    def __init__(self, client: "MlflowClient") -> None:
        self._client = client
        self._waiting: dict[str, list[Metric]] = {}
        self._written = float("-inf")

    def add(self, run: str, metrics: "Sequence[Metric]") -> None:
        """Log metrics now, or with the next that come after a pause."""
        self._waiting.setdefault(run, []).extend(metrics)
        if time.monotonic() - self._written >= PAUSE:
            self.flush()

    def flush(self) -> None:
        """Log what waits."""
        for run in list(self._waiting):
            log_metrics(self._client, run, self._waiting[run])
            del self._waiting[run]
            self._written = time.monotonic()


def _batches(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _short(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"

"""What a Prometheus server finds at ``/metrics``."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from mlpipe_endpoint.replies import Reply
from mlpipe_endpoint.routing import Table

#: The labels' values of one series.
K = TypeVar("K", bound=tuple[str | int, ...])

#: Upper bounds of latencies, in seconds.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """Counts what an endpoint answers, from the start of its server.

    Counts are kept plainly and become Prometheus's when a page is asked for: its own counters,
    which are made for many threads, take as long for a request as all else here.
    """

    def __init__(self) -> None:
        self._answered: dict[tuple[str, int], int] = {}
        self._latencies: dict[str, _Latencies] = {}
        self._refused: dict[tuple[int], int] = {}
        self._dropped: dict[tuple[str], int] = {}

    def answered(self, variant: str, status: int, seconds: float) -> None:
        """Count an answer of a variant's."""
        _count(self._answered, (variant, status))
        latencies = self._latencies.get(variant)
        if latencies is None:
            latencies = self._latencies[variant] = _Latencies()
        latencies.add(seconds)

    def refused(self, status: int) -> None:
        """Count a request that reached none."""
        _count(self._refused, (status,))

    def dropped(self, variant: str) -> None:
        """Count a copy for a shadow variant that was still busy with others."""
        _count(self._dropped, (variant,))

    def page(self, table: Table) -> Reply:
        """Give the page, with the variants as they are now."""
        registry = CollectorRegistry()
        registry.register(_Page(self._families(table)))
        return Reply(200, generate_latest(registry), {"Content-Type": CONTENT_TYPE_LATEST})

    def _families(self, table: Table) -> list[Metric]:
        ready = {(name,): float(host.ready) for name, host in table.hosts.items()}
        weights = {(name,): table.weights[name] for name in table.hosts}
        said = "Requests that a variant answered, by HTTP status."
        labels = ("variant", "status")
        return [
            _family(CounterMetricFamily, "invocations", said, labels, self._answered),
            self._histogram(),
            _family(CounterMetricFamily, "refused", _REFUSED, ("status",), self._refused),
            _family(CounterMetricFamily, "shadow_dropped", _DROPPED, ("variant",), self._dropped),
            _family(GaugeMetricFamily, "weight", _WEIGHT, ("variant",), weights),
            _family(GaugeMetricFamily, "ready", _READY, ("variant",), ready),
        ]

    def _histogram(self) -> Metric:
        said = "Seconds from a request's arrival to its answer."
        name = "mlpipe_endpoint_invocation_seconds"
        family = HistogramMetricFamily(name, said, labels=("variant",))
        for variant, latencies in self._latencies.items():
            family.add_metric((variant,), latencies.buckets(), latencies.total)
        return family


_REFUSED = "Requests that reached no variant, by HTTP status."
_DROPPED = "Copies of requests that a shadow variant had no time for."
_WEIGHT = "Share of the traffic, in the deploy's unit."
_READY = "1 while the variant's model can be asked."


class _Latencies:
    """A histogram of seconds."""

    def __init__(self) -> None:
        self.total = 0.0
        self._counts = [0] * (len(_BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        self.total += seconds
        self._counts[bisect_left(_BOUNDS, seconds)] += 1

    def buckets(self) -> list[tuple[str, float]]:
        """Give, for each bound, how many took at most so long, as Prometheus wants it."""
        bounds = [*map(floatToGoString, _BOUNDS), "+Inf"]
        return list(zip(bounds, accumulate(self._counts), strict=True))


class _Page(Collector):
    """What is given to a registry, to be written once."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _count(counts: dict[K, int], what: K) -> None:
    counts[what] = counts.get(what, 0) + 1


def _family(
    kind: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    said: str,
    labels: Sequence[str],
    values: Mapping[K, float],
) -> Metric:
    family = kind(f"mlpipe_endpoint_{name}", said, labels=labels)
    for key, value in values.items():
        family.add_metric([str(each) for each in key], value)
    return family

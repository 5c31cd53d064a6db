"""What a Prometheus server finds at ``/metrics``."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from mlpipe_endpoint.replies import Reply
from mlpipe_endpoint.routing import Table

#: Upper bounds of latencies, in seconds.
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class Metrics:
    """Counts what an endpoint answers, from the start of its server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._answered = Counter(
            "mlpipe_endpoint_invocations",
            "Requests that a variant answered, by HTTP status.",
            ("variant", "status"),
            registry=self._registry,
        )
        self._latency = Histogram(
            "mlpipe_endpoint_invocation_seconds",
            "Seconds from a request's arrival to its answer.",
            ("variant",),
            buckets=_BOUNDS,
            registry=self._registry,
        )
        self._refused = Counter(
            "mlpipe_endpoint_refused",
            "Requests that reached no variant, by HTTP status.",
            ("status",),
            registry=self._registry,
        )
        self._weight = Gauge(
            "mlpipe_endpoint_weight",
            "Share of the traffic, in the deploy's unit.",
            ("variant",),
            registry=self._registry,
        )
        self._ready = Gauge(
            "mlpipe_endpoint_ready",
            "1 while the variant's model can be asked.",
            ("variant",),
            registry=self._registry,
        )

        #: To look a series up by its labels takes longer than to count.
        self._series: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, variant: str, status: int, seconds: float) -> None:
        """Count an answer of a variant's."""
        found = self._series.get((variant, status))
        if found is None:
            found = self._answered.labels(variant, status), self._latency.labels(variant)
            self._series[variant, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def refused(self, status: int) -> None:
        """Count a request that reached none."""
        self._refused.labels(status).inc()

    def page(self, table: Table) -> Reply:
        """Give the page, with the variants as they are now."""
        for gauge in (self._weight, self._ready):
            gauge.clear()
        for variant, host in table.hosts.items():
            self._weight.labels(variant).set(table.weights[variant])
            self._ready.labels(variant).set(host.ready)
        return Reply(200, generate_latest(self._registry), {"Content-Type": CONTENT_TYPE_LATEST})

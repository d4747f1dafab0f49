"""What the server counts, in Prometheus's format."""

from collections.abc import Callable

from emorec_lobes.units import Seconds

# A batch of eight is in the bucket "at most 8".
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counters of one server, in a registry of its own."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector

        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        registry = {"registry": self._registry}
        self._requests = Counter("emorec_requests", "requests by route and status", ("route", "status"), **registry)
        self._seconds = Histogram(
            "emorec_request_seconds", "from request to answer", ("route",), buckets=_SECONDS, **registry
        )
        self._batches = Histogram("emorec_batch_size", "requests answered together", buckets=_BATCH_SIZES, **registry)

    def request(self, route: str, status: int, duration_s: Seconds) -> None:
        """Counts one request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(duration_s)

    def batch(self, size: int) -> None:
        """Counts one question to the model."""
        self._batches.observe(size)

    def watch(self, name: str, description: str, read: Callable[[], float]) -> None:
        """Shows a number that is read whenever somebody asks."""
        from prometheus_client import Gauge

        Gauge(name, description, registry=self._registry).set_function(read)

    def text(self) -> tuple[bytes, str]:
        """All of them, and their content type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self._registry), CONTENT_TYPE_LATEST

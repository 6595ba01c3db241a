"""What can be known at any time, and so need not be counted.

Connections and requests in flight are somebody's state already. A gauge that is moved up and down
beside that state can drift from it; these are read from their owners at the moment Prometheus asks.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class PoolCounts(Protocol):
    """What the upstream pool holds at one moment."""

    @property
    def leased(self) -> int:
        """Connections that carry a request."""

    @property
    def idle(self) -> int:
        """Connections that wait for one."""

    @property
    def connecting(self) -> int:
        """Connections being opened."""

    @property
    def waiting(self) -> int:
        """Requests that wait for a connection."""


class Readings(Collector):
    """The metrics that are read when asked for. `in_flight` is set by whoever counts requests."""

    def __init__(
        self, *, version: str, pool: Callable[[], PoolCounts], lost_log_lines: Callable[[], int]
    ) -> None:
        self._version = version
        self._pool = pool
        self._lost_log_lines = lost_log_lines
        self.in_flight: Callable[[], int] = int

    def collect(self) -> Iterator[Metric]:
        """Ask everybody, now."""
        build = GaugeMetricFamily(
            "syze_build_info", "Always 1; the label says which build this is.", labels=("version",)
        )
        build.add_metric((self._version,), 1)
        yield build
        yield GaugeMetricFamily(
            "syze_requests_in_flight", "Requests begun and not yet ended.", value=self.in_flight()
        )
        yield from _pool_metrics(self._pool())
        yield CounterMetricFamily(
            "syze_log_lines_lost",
            "Log lines that could not be written.",
            value=self._lost_log_lines(),
        )


def _pool_metrics(counts: PoolCounts) -> Iterator[Metric]:
    connections = GaugeMetricFamily(
        "syze_upstream_connections",
        "Connections to upstreams, by what they are doing.",
        labels=("state",),
    )
    connections.add_metric(("leased",), counts.leased)
    connections.add_metric(("idle",), counts.idle)
    connections.add_metric(("connecting",), counts.connecting)
    yield connections
    yield GaugeMetricFamily(
        "syze_upstream_waiting", "Requests waiting for a connection.", value=counts.waiting
    )

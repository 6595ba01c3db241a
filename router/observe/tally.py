"""Counting in plain numbers, told to Prometheus when it asks.

The client library locks every count against other threads, and walks through a histogram's buckets one by
one. Here one task counts at a time, so a count is an addition; the library is left with what it does well,
the form in which the page is told.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

_INFINITY: Final = "+Inf"


class Count:
    """One series of a counter, which whoever counts adds to."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class Spread:
    """One series of a histogram. `bounds`: the upper ends of its buckets, which belong to them."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, amount: float) -> None:
        """Take in one value."""
        self.counts[bisect_left(self._bounds, amount)] += 1
        self.total += amount


class Counts(Collector):
    """A counter with labels. `series`: by the values of the labels, made as they are asked for."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str] = (),
        *,
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self.series: defaultdict[tuple[str, ...], Count] = defaultdict(Count)
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Tell all series."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, count in self.series.items():
            family.add_metric(values, count.value)
        yield family


class Spreads(Collector):
    """A histogram with labels. `series`: by the values of the labels, made as they are asked for."""

    def __init__(
        self,
        name: str,
        documentation: str,
        labels: Sequence[str],
        *,
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._bounds = bounds
        self.series: defaultdict[tuple[str, ...], Spread] = defaultdict(partial(Spread, bounds))
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Tell all series."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        for values, spread in self.series.items():
            family.add_metric(values, self._buckets(spread), spread.total)
        yield family

    def _buckets(self, spread: Spread) -> list[tuple[str, float]]:
        """Return the upper ends, each with how many values there were up to it."""
        ends = [*map(floatToGoString, self._bounds), _INFINITY]
        return [(end, sum(spread.counts[: place + 1])) for place, end in enumerate(ends)]

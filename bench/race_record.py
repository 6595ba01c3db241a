"""Results of scenarios that were played over sockets, as they are kept: beside each figure its virtual twin.

The twin is the same scenario as `syze simulate` plays it, without a machine. It tells what luck and noise
did to the run over sockets: where the run without stragglers lies off its twin, the machine was busy with
something else.
"""

from math import inf
from typing import Self

import msgspec

from bench.record import Judged
from router.loadtest.measure import Window
from router.simulation.figures import Figures
from router.simulation.report import report_of


class Seen(msgspec.Struct, frozen=True):
    """One run as clients and upstreams saw it: counts, percentiles of the time to first token in seconds."""

    requests: int
    answered: int
    p50: float
    p90: float
    p99: float
    upstream_requests: dict[str, int]

    @classmethod
    def of(cls, figures: Figures) -> Self:
        """Sum a run up. Raises ValueError if nothing was answered."""
        report = report_of("", figures)
        times = report.first_token
        if times.p50 is None or times.p90 is None or times.p99 is None:
            raise ValueError("nothing was answered")
        return cls(
            requests=report.requests,
            answered=len(figures.first_token),
            p50=times.p50,
            p90=times.p90,
            p99=times.p99,
            upstream_requests=report.upstream_requests_by_endpoint,
        )

    @property
    def upstream_total(self) -> int:
        """Upstream requests to all endpoints together."""
        return sum(self.upstream_requests.values())

    @property
    def extra(self) -> float:
        """Upstream requests beyond one a request, as a share of the requests."""
        return self.upstream_total / self.requests - 1


class Trio(msgspec.Struct, frozen=True):
    """The three runs of a cell: the same upstreams without stragglers, with them, and with hedging too."""

    steady: Seen
    unhedged: Seen
    hedged: Seen

    @property
    def unhedged_ratio(self) -> float:
        """The 99th percentile with stragglers and no hedging, relative to that without stragglers."""
        return self.unhedged.p99 / self.steady.p99

    @property
    def hedged_ratio(self) -> float:
        """The 99th percentile with stragglers and hedging, relative to that without stragglers."""
        return self.hedged.p99 / self.steady.p99


class StragglerSettings(msgspec.Struct, frozen=True):
    """What `stragglers` was asked for: requests, and requests a second, of each of the three runs of a cell.

    Where the times shift there are twice as many. `limit` is for the ratio of 99th percentiles, `budget` for
    extra upstream requests; by `noise` a median without stragglers may lie above its virtual twin.
    """

    rate: float = 60.0
    requests: int = 6000
    seed: int = 1
    limit: float = 1.4
    budget: float = 0.05
    noise: float = 0.08


class Cell(msgspec.Struct, frozen=True):
    """One kind of upstreams. From the middle of the run on, times are `shift` times those before.

    `attainable`: whether hedging can reach the limit at all (decision 0009). `late` is the load's own
    lateness in seconds, 99th percentile. The window holds the work of all three runs; `again`: it was
    played before and the machine had spoiled it.
    """

    name: str
    median: float
    sigma: float
    shift: float
    attainable: bool
    sockets: Trio
    virtual: Trio
    late: float
    window: Window
    problems: list[str]
    again: bool = False

    @property
    def median_off(self) -> float:
        """By which share the median without stragglers lies above its virtual twin."""
        return self.sockets.steady.p50 / self.virtual.steady.p50 - 1


class Stragglers(Judged, frozen=True, tag="stragglers", tag_field="kind"):
    """What hedging saves at the tail, over sockets."""

    settings: StragglerSettings
    cells: list[Cell]


class AgreementSettings(msgspec.Struct, frozen=True):
    """What `agreement` was asked for: so many virtual runs, each with luck of its own.

    By `late` seconds the load may begin 1 in 100 requests after it was due; on a quiet machine it is a third
    of that.
    """

    virtual_runs: int = 9
    tolerance: float = 0.10
    late: float = 0.02


class Compared(msgspec.Struct, frozen=True):
    """One figure over sockets, and the median, least and greatest of the virtual runs."""

    name: str
    sockets: float
    virtual: float
    least: float
    greatest: float

    @property
    def difference(self) -> float:
        """By which share the sockets' figure lies above the virtual one; infinite above nothing."""
        if self.virtual == 0.0:
            return inf if self.sockets else 0.0
        return self.sockets / self.virtual - 1


class Agreement(Judged, frozen=True, tag="agreement", tag_field="kind"):
    """One scenario over sockets and in virtual time, several times there, for chance differs too."""

    settings: AgreementSettings
    scenario: str
    sockets: Seen
    virtual: list[Seen]
    compared: list[Compared]
    late: float
    window: Window
    problems: list[str]

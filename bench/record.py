"""Results of costs, with everything needed to judge or repeat them.

Raw windows are kept beside the medians, so that a later question can be answered without a new run.
"""

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

import msgspec

from bench.machine import Machine
from router.loadtest.measure import Memory, Window


class Origin(msgspec.Struct, frozen=True):
    """Where a result comes from: its name, its moment (UTC), a note, and the machine."""

    name: str
    measured_at: str
    note: str
    machine: Machine

    @classmethod
    def now(cls, *, name: str, note: str, machine: Machine) -> Self:
        """A result that is being measured now."""
        return cls(name, datetime.now(UTC).isoformat(timespec="seconds"), note, machine)


class Point(msgspec.Struct, frozen=True):
    """One row of a table: medians over the runs, and the runs.

    `cpu_us` is CPU time of the gateway for one unit of work, `gateway_busy` and `load_busy` shares of
    one core, the latter of load generator and provider together.
    """

    clients: int
    cpu_us: float
    cpu_us_runs: list[float]
    per_second: float
    gateway_busy: float
    load_busy: float
    runs: list[Window]

    @classmethod
    def of(cls, clients: int, runs: Sequence[Window]) -> Self:
        """Summarise the runs of one number of clients."""
        each = [run.cpu_us_per_unit("gateway") for run in runs]
        return cls(
            clients=clients,
            cpu_us=statistics.median(each),
            cpu_us_runs=each,
            per_second=statistics.median(run.per_second for run in runs),
            gateway_busy=statistics.median(run.busy("gateway") for run in runs),
            load_busy=statistics.median(run.busy("load") + run.busy("provider") for run in runs),
            runs=list(runs),
        )


class Capacity(msgspec.Struct, frozen=True):
    """What the load generator reaches against the provider itself, without a gateway between.

    `ceiling_per_second` is where one core that both share would be full, by their CPU time per unit.
    """

    clients: int
    per_second: float
    load_cpu_us: float
    provider_cpu_us: float
    ceiling_per_second: float

    @classmethod
    def of(cls, clients: int, window: Window) -> Self:
        """Work it out from a window of a direct load."""
        load = window.cpu_us_per_unit("load")
        provider = window.cpu_us_per_unit("provider")
        return cls(clients, window.per_second, load, provider, 1e6 / (load + provider))


class FigureSettings(msgspec.Struct, frozen=True):
    """What `figures` was asked for. Times in seconds; `event_rate` is of all streams together."""

    connections: tuple[int, ...] = (1, 16, 64, 256)
    streams: tuple[int, ...] = (10, 100, 500)
    runs: int = 3
    seconds: float = 5.0
    warm: float = 1.0
    event_rate: float = 2000.0
    tokens: int = 40


class Figures(msgspec.Struct, frozen=True, tag="figures", tag_field="kind"):
    """The cost of requests and events. `idle_busy` is the share of a core used without any load."""

    origin: Origin
    method: list[str]
    settings: FigureSettings
    requests: list[Point]
    events: list[Point]
    direct_requests: Capacity
    direct_events: Capacity
    idle_busy: float


class EnduranceSettings(msgspec.Struct, frozen=True):
    """What `endurance` was asked for. Times in seconds, `rate` in events a second of each stream."""

    streams: int = 1000
    seconds: float = 60.0
    rate: float = 5.0
    spread: float = 5.0
    warm_up: float = 5.0
    settle: float = 75.0
    tolerance: float = 0.10


class Held(msgspec.Struct, frozen=True):
    """What the gateway holds at one moment."""

    memory: Memory
    descriptors: int


class StreamTotals(msgspec.Struct, frozen=True):
    """How the streams went. `problems` are those of the first broken ones."""

    asked: int
    complete: int
    peak_open: int
    events: int
    shortest_seconds: float
    median_seconds: float
    longest_seconds: float
    problems: list[str]


class Check(msgspec.Struct, frozen=True):
    """One finding. One that is not `required` is told and does not decide."""

    name: str
    passed: bool
    detail: str
    required: bool = True


def all_passed(checks: Sequence[Check]) -> bool:
    """Whether every required check passed."""
    return all(check.passed for check in checks if check.required)


class Judged(msgspec.Struct, frozen=True):
    """What every measurement has that is held against something: where it comes from, how it was made
    (a paragraph each), and what was found.
    """

    origin: Origin
    method: list[str]
    checks: list[Check]

    @property
    def passed(self) -> bool:
        """Whether every required check passed."""
        return all_passed(self.checks)


class Endurance(Judged, frozen=True, tag="endurance", tag_field="kind"):
    """Many long streams at once, and what remained of them."""

    settings: EnduranceSettings
    streams: StreamTotals
    window: Window
    fresh: Held
    warmed: Held
    peak: Memory
    after: Held

"""What a comparison leaves behind: a file for each contestant and run, so that one that was broken off
goes on.

Times are seconds unless the name says otherwise.
"""

import msgspec

from bench.record import Origin


class Settings(msgspec.Struct, frozen=True):
    """What was asked for.

    Events of a stream are `gap_ms` apart, unless all streams together would then have more than `most_rate`
    events a second; so many streams share `shared_rate`. `settle` is the rest after the streams have begun,
    and after a start.
    """

    connections: tuple[int, ...] = (1, 16, 64, 256)
    streams: tuple[int, ...] = (10, 100, 500, 1000)
    probed: tuple[int, ...] = (10, 100)
    runs: int = 3
    seconds: float = 2.0
    warm: float = 0.5
    gap_ms: int = 5
    most_rate: float = 20_000.0
    shared_rate: float = 10_000.0
    probe_rate: float = 100.0
    probe_seconds: float = 2.0
    settle: float = 0.5

    def gap_of(self, streams: int) -> int:
        """Return how many milliseconds apart the events of each of so many streams are."""
        if streams * 1000 / self.gap_ms <= self.most_rate:
            return self.gap_ms
        return round(1000 * streams / self.shared_rate)


class Requests(msgspec.Struct, frozen=True):
    """Plain requests in a closed loop; CPU in microseconds, `busy` as shares of one core."""

    connections: int
    cpu_us: float
    per_second: float
    failed: int
    busy: float
    load_busy: float
    by_process_us: list[float]


class Probe(msgspec.Struct, frozen=True):
    """Times to first token of short streams, begun at random moments while others are open."""

    count: int
    p50: float
    p99: float
    failed: int


class Streams(msgspec.Struct, frozen=True):
    """Streams that were open together; CPU in microseconds of an event.

    `lost` had not begun in time, or broke. `transit_*` are seconds from the upstream's write of an event
    to its reading. `bytes_per_stream` is what the processes grew by (PSS), for each stream.
    """

    streams: int
    gap_ms: int
    open: int
    lost: int
    told: list[str]
    cpu_us: float
    per_second: float
    busy: float
    load_busy: float
    transit_p50: float
    transit_p99: float
    bytes_per_stream: float
    probe: Probe | None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one contestant. `first_answer` counts from the start of its process."""

    contestant: str
    kind: str
    version: str
    number: int
    measured_at: str
    first_answer: float
    idle_bytes: int
    requests: list[Requests]
    streams: list[Streams]


class Missing(msgspec.Struct, frozen=True):
    """A contestant that could not be had, or did not serve, and why."""

    contestant: str
    why: str


class Comparison(msgspec.Struct, frozen=True, tag="compare", tag_field="kind"):
    """All of it. `direct` are runs of the upstream alone, asked without anything between."""

    origin: Origin
    method: list[str]
    settings: Settings
    runs: list[Run]
    direct: list[Run]
    missing: list[Missing]

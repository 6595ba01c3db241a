"""What two load generators found of one server, as it is kept."""

import statistics
from collections.abc import Sequence
from typing import Self

import msgspec

from bench.record import Judged


class CrosscheckSettings(msgspec.Struct, frozen=True):
    """What `crosscheck` was asked for. `seconds` is the length of each turn."""

    connections: int = 32
    rounds: int = 9
    seconds: float = 3.0
    tokens: int = 40
    tolerance: float = 0.05


class Reading(msgspec.Struct, frozen=True):
    """One turn: answers a second, percentiles in seconds, CPU microseconds of the server for an answer."""

    per_second: float
    p50: float
    p99: float
    cpu_us: float
    failed: int

    @classmethod
    def median(cls, turns: Sequence[Self]) -> Self:
        """Return the median of each figure; there has to be at least one turn."""
        return cls(
            per_second=statistics.median(one.per_second for one in turns),
            p50=statistics.median(one.p50 for one in turns),
            p99=statistics.median(one.p99 for one in turns),
            cpu_us=statistics.median(one.cpu_us for one in turns),
            failed=sum(one.failed for one in turns),
        )


class Crosscheck(Judged, frozen=True, tag="crosscheck", tag_field="kind"):
    """Turns of the load generator and of wrk, in the order in which they were taken."""

    settings: CrosscheckSettings
    wrk: str
    ours: list[Reading]
    theirs: list[Reading]

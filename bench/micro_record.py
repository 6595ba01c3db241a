"""Results of the limiter's own costs: what one reservation takes, with few keys and with many."""

import statistics
from typing import Literal

import msgspec

from bench.record import Judged

Chosen = Literal["any key", "one key"]


class MicroSettings(msgspec.Struct, frozen=True):
    """What `micro` was asked for. `rate`: reservations a second of the clock that is given to the limiter."""

    keys: tuple[int, ...] = (10, 1_000, 100_000, 1_000_000)
    workers: int = 4
    rounds: int = 9
    operations: int = 20_000
    rate: float = 1_000.0
    allowed_us: float = 15.0
    goal_us: float = 10.0


class Cost(msgspec.Struct, frozen=True):
    """One contestant with so many keys. CPU in microseconds, memory in bytes per key.

    `chosen`: whether each operation is for any of the keys, or all are for one while the others lie there.
    `first_us` is the mean of the first reservations of all keys, `runs_us` of later ones, round by round.
    `shared_bytes` lie in each worker's file, `private_bytes` in a worker's own memory.
    """

    contestant: str
    keys: int
    chosen: Chosen
    first_us: float
    runs_us: list[float]
    shared_bytes: float
    private_bytes: float

    @property
    def median_us(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.runs_us)

    @property
    def least_us(self) -> float:
        """The round that others disturbed least."""
        return min(self.runs_us)


class Micro(Judged, frozen=True, tag="micro", tag_field="kind"):
    """What a reservation costs. The first contestant is ours."""

    settings: MicroSettings
    costs: list[Cost]

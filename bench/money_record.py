"""Results of what money costs a request: CPU time with accounts, limits and ledger, and without."""

import statistics

import msgspec

from bench.record import Judged


class MoneySettings(msgspec.Struct, frozen=True):
    """What `money` was asked for: pairs of windows, each of so many seconds after so much load."""

    connections: int = 64
    pairs: int = 16
    seconds: float = 3.0
    warm: float = 1.0
    tokens: int = 10
    allowed_us: float = 60.0


class Pair(msgspec.Struct, frozen=True):
    """CPU microseconds of a request in two windows, one right after the other."""

    with_money_us: float
    without_us: float

    @property
    def more_us(self) -> float:
        """What money took."""
        return self.with_money_us - self.without_us


class Money(Judged, frozen=True, tag="money", tag_field="kind"):
    """What money costs a request. `booked`: settlements that were in the books in the end."""

    settings: MoneySettings
    pairs: list[Pair]
    booked: int


def median_more(pairs: list[Pair]) -> float:
    """The median of what money took, pair by pair."""
    return statistics.median(pair.more_us for pair in pairs)

"""How a race opens: with whom, and when the first attempt may be joined.

Most races are won by their first attempt, and need nobody who decides: a director is made when that attempt
has failed, or when its time alone is over. What can be said before is said here, once for both.
"""

from collections.abc import Sequence
from math import inf
from typing import Protocol, TypeVar

import msgspec

from router.routing.availability import Availability, Standing


class Asked(Protocol):
    """What the director needs to know of a candidate."""

    def availability(self, now: float) -> Availability:
        """Return whether it may be asked, and if not, when."""

    def hedge_after(self, now: float) -> float | None:
        """Return the seconds after which an attempt of it is worth a hedge; `None`: not known."""


C = TypeVar("C", bound=Asked)


class RaceLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How far one race may go. Durations in seconds.

    `patience`: how long a tier may wait, in all, for parked or failed candidates; the time in which an
    attempt runs is not waiting. `slow`: after so long without a first token, the next tier is asked as well.
    `hedge_after` stands for the delay that a candidate has learned; `None` leaves it at that.
    """

    patience: float = 3.0
    slow: float = 10.0
    max_attempts: int = 6
    hedge: bool = True
    hedge_after: float | None = None

    def hedge_at(self, candidate: Asked, now: float, *, may_be_joined: bool = True) -> float:
        """Return when an attempt that begins now is worth a hedge, infinite for never."""
        delay = self.hedge_after
        if delay is None and self.hedge and may_be_joined:
            delay = candidate.hedge_after(now)
        return now + delay if delay is not None else inf


def opener(tiers: Sequence[Sequence[C]], now: float) -> C | None:
    """Return with whom a race begins where nothing has to be decided: the best of all, if it may be asked."""
    if tiers and tiers[0]:
        best = tiers[0][0]
        if best.availability(now).standing <= Standing.PROBE:  # as nearly always
            return best
    return None

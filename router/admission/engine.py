"""The engines behind admission: this machine's shared memory, or a store that many machines share.

Both answer the same two questions. The local one answers at once and never waits; it is asked through the
same asynchronous door, so that nothing above knows which one it is.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from limiter.demand import Demand, Refusal, Reservation, Standing
from limiter.errors import StaleTime
from limiter.local import LocalLimiter


class Engine(Protocol):
    """Takes reservations and tells standings."""

    def now(self) -> float:
        """Return the engine's monotonic time in seconds, by which its reservations are ended."""

    async def reserve(
        self, demands: Sequence[Demand], *, tokens: int, credit: int
    ) -> Reservation | Refusal:
        """Take from all demands or from none. When cancelled, nothing stays taken."""

    async def standing(self, subject: str) -> Standing:
        """Return what a subject has in use now."""


class LocalEngine:
    """The engine of one machine. `clock`: monotonic seconds, the same for all that share a table."""

    def __init__(self, limiter: LocalLimiter, *, clock: Callable[[], float]) -> None:
        self._limiter = limiter
        self._clock = clock

    def now(self) -> float:
        """Return the time by which reservations are ended."""
        return self._clock()

    async def reserve(
        self, demands: Sequence[Demand], *, tokens: int, credit: int
    ) -> Reservation | Refusal:
        """Take from all demands or from none; does not wait."""
        while True:
            try:
                return self._limiter.reserve(
                    demands, tokens=tokens, credit=credit, now=self._clock()
                )
            except StaleTime:
                continue  # this process stood still between reading the clock and deciding

    async def standing(self, subject: str) -> Standing:
        """Return what a subject has in use now; does not wait."""
        return self._limiter.standing(subject, now=self._clock())

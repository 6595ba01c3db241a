"""The engines behind admission: this machine's shared memory, or a store that many machines share.

Both answer the same questions. The local one never waits, so a request that nothing stands in the way of need
not either: it is first tried whether the engine reserves at once. Who must wait for an answer anyway, for a
place in a line or for a store far away, asks through the asynchronous door, and need not know which one it
is.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from limiter.demand import Debts, Demand, Refusal, Reservation, Standing
from limiter.errors import StaleTime
from limiter.local import LocalLimiter
from limiter.turns import Coming

T = TypeVar("T")


class Schedule(NamedTuple):
    """When a subject's use of its windows is forgotten: its requests, and its tokens."""

    requests: Coming
    tokens: Coming


class Engine(Protocol):
    """Takes reservations and tells how subjects stand."""

    @property
    def now(self) -> Callable[[], float]:
        """What tells the engine's monotonic time in seconds, by which its reservations are ended."""

    def reserve_at_once(
        self, demands: Sequence[Demand], *, tokens: int, credit: int, calls: int = 1
    ) -> Reservation | Refusal | None:
        """Take from all demands or from none; `None`, and nothing taken, where that takes waiting."""

    async def reserve(
        self, demands: Sequence[Demand], *, tokens: int, credit: int, calls: int = 1
    ) -> Reservation | Refusal:
        """Take from all demands or from none. When cancelled, nothing stays taken.

        With `calls` of 0 nothing but credit is taken: a call that is running holds more of it.
        """

    def take_debts(self) -> Sequence[Debts]:
        """Return what calls owe that have ended since this was last asked; it stays held until paid."""

    async def standing(self, subject: str) -> Standing:
        """Return what a subject has in use now."""

    async def schedule(self, subject: str) -> Schedule:
        """Return when what it has in use comes free; `limiter.turns.spread_evenly` where nobody knows."""


class LocalEngine:
    """The engine of one machine. `clock`: monotonic seconds, the same for all that share a table."""

    def __init__(self, limiter: LocalLimiter, *, clock: Callable[[], float]) -> None:
        self._limiter = limiter
        self.now = clock

    async def reserve(
        self, demands: Sequence[Demand], *, tokens: int, credit: int, calls: int = 1
    ) -> Reservation | Refusal:
        """Take from all demands or from none; does not wait."""
        return self.reserve_at_once(demands, tokens=tokens, credit=credit, calls=calls)

    def reserve_at_once(
        self, demands: Sequence[Demand], *, tokens: int, credit: int, calls: int = 1
    ) -> Reservation | Refusal:
        """Take from all demands or from none."""
        while True:
            try:
                return self._limiter.reserve(
                    demands, tokens=tokens, credit=credit, calls=calls, now=self.now()
                )
            except StaleTime:
                continue  # this process stood still between reading the clock and deciding

    def take_debts(self) -> Sequence[Debts]:
        """Return what calls owe that have ended since this was last asked."""
        debts = self._limiter.take_debts()
        return () if debts is None else (debts,)

    async def standing(self, subject: str) -> Standing:
        """Return what a subject has in use now; does not wait."""
        return self._fresh(lambda now: self._limiter.standing(subject, now=now))

    async def schedule(self, subject: str) -> Schedule:
        """Return exactly when what a subject has in use comes free; does not wait."""
        return Schedule(*self._fresh(lambda now: self._limiter.schedule(subject, now=now)))

    def _fresh(self, ask: Callable[[float], T]) -> T:
        """Ask with the time as it is, and once more if this process stood still meanwhile."""
        while True:
            try:
                return ask(self.now())
            except StaleTime:
                continue

"""The short wait: a request that will fit soon waits for that, instead of a 429 and a retry of its client.

`limiter.queue` decides the order, this waits. Whoever stands at the head of a key's line tries again when its
moment comes or when a call of the key ends; everybody gives up at their own deadline.
"""

from collections.abc import Awaitable, Callable

import trio

from limiter.demand import Refusal, Reservation
from limiter.queue import Full, Ticket, WaitingLines

Try = Callable[[], Awaitable[Reservation | Refusal]]


class WaitingRoom:
    """Where the requests of one process wait. `clock` is that of the engine, in seconds."""

    def __init__(self, lines: WaitingLines, *, clock: Callable[[], float]) -> None:
        self._lines = lines
        self._clock = clock
        self._calls: dict[Ticket, trio.Event] = {}

    def must_wait(self, key: str) -> bool:
        """Whether a request of this key would overtake another one if it tried at once."""
        return self._lines.must_wait(key)

    def ended(self, key: str) -> None:
        """A call of this key has ended: whoever is next may try."""
        self._call(self._lines.ended(key, now=self._clock()))

    async def wait(
        self, key: str, attempt: Try, *, fits_after: float | None, seconds: float
    ) -> Reservation | Refusal | None:
        """Wait in the key's line, trying when it is our turn; return what came of the last try.

        `None`: there was no room to wait, or the time was over before our turn came. When cancelled, the
        place in the line is given up and nothing stays taken.
        """
        now = self._clock()
        ticket = self._lines.enter(key, now=now, fits_after=fits_after, deadline=now + seconds)
        if isinstance(ticket, Full):
            return None
        try:
            return await self._wait(ticket, attempt)
        finally:
            self._calls.pop(ticket, None)
            self._call(self._lines.leave(ticket, now=self._clock()))

    async def _wait(self, ticket: Ticket, attempt: Try) -> Reservation | Refusal | None:
        outcome: Reservation | Refusal | None = None
        while True:
            await self._until_called(ticket)
            now = self._clock()
            if self._lines.is_head(ticket) and (ticket.try_at <= now or now >= ticket.deadline):
                outcome = await attempt()
                if not isinstance(outcome, Refusal):
                    return outcome
                now = self._clock()
                self._lines.postponed(ticket, now=now, fits_after=outcome.fits_after)
            if now >= ticket.deadline:
                return outcome

    async def _until_called(self, ticket: Ticket) -> None:
        called = self._calls[ticket] = trio.Event()
        with trio.move_on_after(max(0.0, ticket.wake_at - self._clock())):
            await called.wait()

    def _call(self, ticket: Ticket | None) -> None:
        called = self._calls.get(ticket) if ticket is not None else None
        if called is not None:
            called.set()

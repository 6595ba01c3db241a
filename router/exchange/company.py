"""Company: the attempts that join one race, in a nursery of that race's own.

Hardly any race is joined, and a nursery costs more than all decisions of a race. So it is opened when the
first of them joins, by a task of the process: the request's own is in the midst of its attempt then. It is
the race's all the same. The race ends it, and goes on only when all in it have ended; and whoever leaves the
request has left it to the race to do so.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import trio

# Attempts end as soon as they are cancelled: to wait for longer would be to wait for a fault of ours.
_MOST_SECONDS: Final = 5.0


class GivenUp(Exception):
    """The race was decided while this attempt ran: it was cancelled, and nobody else was."""


class Company:
    """Who has joined a race. `host(work)` starts a task that outlives nobody but the process.

    `decided` is to be set when nobody in it is waited for any more; it sets itself if it ends before.
    """

    __slots__ = ("_is_over", "_joining", "_nursery", "decided")

    def __init__(self, host: Callable[[Callable[[], Awaitable[None]]], None]) -> None:
        self.decided = trio.Event()
        self._is_over = trio.Event()
        self._nursery: trio.Nursery | None = None
        self._joining: list[Callable[[], Awaitable[None]]] = []
        host(self._run)

    def join(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """Run an attempt, which must not raise, beside the others."""
        if self._nursery is None:
            self._joining.append(attempt)
        else:
            self._nursery.start_soon(attempt)

    def cancel(self) -> None:
        """Cancel them all."""
        self.decided.set()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    async def end(self) -> None:
        """Cancel them all, and return when each has ended, even if this is cancelled meanwhile."""
        self.cancel()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + _MOST_SECONDS):
            await self._is_over.wait()

    async def _run(self) -> None:
        try:
            async with trio.open_nursery() as self._nursery:
                for attempt in self._joining:
                    self._nursery.start_soon(attempt)
                if self.decided.is_set():
                    self._nursery.cancel_scope.cancel()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self.decided.set()
            self._is_over.set()

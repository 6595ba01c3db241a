"""Drains: answers that nobody waits for any more are read on, for the sake of their usage.

A hedge that lost, or an answer whose client left, is usually cancelled at once, and what it cost is
estimated. An operator who wants the provider's own count can let it run on for a while instead. Such an
attempt must then outlive its race and its request, so it runs in a nursery of the process, and the race
only waits for it; being cancelled, the race lets go of it rather than ending it.

With a time of zero nothing of this happens: attempts run where they are awaited, and end with whoever waits.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import trio

from adapters.dialect import Answer, Usage
from adapters.sse import Signal
from router.errors import UpstreamUnreachable
from router.exchange.attempt import CommittedStream
from router.exchange.books import Bill, Books
from router.exchange.hedge import Contender
from router.exchange.live import LiveEndpoint
from router.upstream.errors import UpstreamTransportError

MOST_DRAINS: Final = 1000

T = TypeVar("T")


class Drains:
    """All that is read on in one process.

    `seconds`: how long each may take, from when nobody waited any more; 0 turns it off. `late(bill)` hears
    what was found out after the request's own bill had been closed.
    """

    def __init__(self, *, seconds: float, late: Callable[[Bill], None]) -> None:
        self._seconds = seconds
        self._late = late
        self._nursery: trio.Nursery | None = None
        self.in_flight = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hold the nursery until cancelled, which closes every connection that is read on."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                await trio.sleep_forever()
            finally:
                self._nursery = None

    def outliving(
        self, attempt: Callable[[Contender], Awaitable[T]], books: Books
    ) -> Callable[[Contender], Awaitable[T]]:
        """Return the attempt in such a form that cancelling it lets it run on, where that is wanted."""
        if not self._has_room():
            return attempt

        async def waited_for(contender: Contender) -> T:
            nursery = self._nursery
            if nursery is None or not self._has_room():
                return await attempt(contender)
            pending = _Pending[T]()
            self.in_flight += 1
            nursery.start_soon(self._attempt, pending, attempt, contender, books)
            return await self._wait_for(pending, contender, books)

        return waited_for

    def read_on(self, stream: CommittedStream, live: LiveEndpoint, books: Books) -> None:
        """Take over a stream that nobody reads any more, or close it. Synchronous; owns it from now on."""
        nursery = self._nursery
        if stream.done or nursery is None or not self._has_room():
            stream.response.discard()
            return
        self.in_flight += 1
        nursery.start_soon(self._drain, stream, live, books)

    def _has_room(self) -> bool:
        return self._seconds > 0 and self._nursery is not None and self.in_flight < MOST_DRAINS

    async def _wait_for(self, pending: "_Pending[T]", contender: Contender, books: Books) -> T:
        try:
            await pending.over.wait()
        except trio.Cancelled:
            pending.orphaned = True
            pending.scope.deadline = trio.current_time() + self._seconds
            if pending.value is not None:
                self._keep_usage(pending.value, contender.live, books)
            raise
        if pending.value is not None:
            return pending.value
        raise pending.error or UpstreamUnreachable("The gateway is shutting down.")

    async def _attempt(
        self,
        pending: "_Pending[T]",
        attempt: Callable[[Contender], Awaitable[T]],
        contender: Contender,
        books: Books,
    ) -> None:
        try:
            with pending.scope:
                pending.value = await attempt(contender)
        except Exception as error:  # noqa: BLE001 - it is raised where the attempt is awaited
            pending.error = error
        finally:
            self.in_flight -= 1
            pending.over.set()
        if pending.orphaned and pending.value is not None:
            self._keep_usage(pending.value, contender.live, books)

    def _keep_usage(self, value: object, live: LiveEndpoint, books: Books
    ) -> None:
        if isinstance(value, CommittedStream):
            self.read_on(value, live, books)
        elif isinstance(value, Answer) and value.usage is not None:
            self._report(value.usage, live, books)

    async def _drain(self, stream: CommittedStream, live: LiveEndpoint, books: Books) -> None:
        decoder = stream.decoder
        try:
            with trio.move_on_after(self._seconds):
                while not stream.done:
                    decoder.receive_data(await stream.response.receive_body())
                    while not isinstance(event := decoder.next_event(), Signal):
                        pass
                    stream.done = event is Signal.END
        except UpstreamTransportError:
            pass  # what it told before it broke is told
        finally:
            self.in_flight -= 1
            stream.response.discard()
            if decoder.usage is not None:
                self._report(decoder.usage, live, books)

    def _report(self, usage: Usage, live: LiveEndpoint, books: Books) -> None:
        bill = books.drained(live, usage)
        if bill is not None:
            self._late(bill)


class _Pending(Generic[T]):
    """An attempt that runs in the process's nursery while its race waits for it."""

    def __init__(self) -> None:
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self.value: T | None = None
        self.error: Exception | None = None
        self.orphaned = False

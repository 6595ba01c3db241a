"""Drains: answers that nobody waits for any more are read on, for the sake of their usage.

A hedge that lost, or an answer whose client left, is usually cancelled at once, and what it cost is
estimated. An operator who wants the provider's own count can let it run on for a while instead. Such an
attempt must then outlive its race and its request, so it runs in a nursery of the process, and the race
only waits for it; being cancelled, the race lets go of it rather than ending it.

What has not been asked yet is never asked for the usage's sake: it would cost, and nobody wants it. With a
time of zero nothing of all this happens: attempts run where they are awaited, and end with whoever waits.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

import trio

from adapters.dialect import Answer, StreamDecoder
from adapters.sse import Signal
from router.errors import GatewayError, UpstreamUnreachable
from router.exchange.books import Bill, Books, Whose
from router.exchange.company import GivenUp
from router.exchange.live import Run
from router.exchange.stream_attempt import CommittedStream
from router.upstream.errors import UpstreamTransportError

MOST_DRAINS: Final = 1000

T = TypeVar("T")


class Drains:
    """All that is read on in one process, `in_flight` of them now; `is_on` where that is wanted at all.

    `seconds`: how long each may take, from when nobody waited any more; 0 turns it off. `late(whose, bill)`
    hears what was found out after the request's own bill had been closed, `on_bug(error)` of a fault of ours
    that no request can answer for. Both are synchronous and must not raise.
    """

    def __init__(
        self,
        *,
        seconds: float,
        late: Callable[[Whose, Bill], None],
        on_bug: Callable[[Exception], None],
    ) -> None:
        self.is_on = seconds > 0
        self._seconds = seconds
        self._late = late
        self._on_bug = on_bug
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
        self, attempt: Callable[[Run], Awaitable[T]], books: Books
    ) -> Callable[[Run], Awaitable[T]]:
        """Return the attempt in such a form that cancelling it lets it run on."""

        async def waited_for(run: Run) -> T:
            if self._nursery is None:
                return await attempt(run)
            pending = _Pending[T](run, books)
            waiting = trio.CancelScope()
            run.interrupt = waiting.cancel  # it is given up, and not the attempt
            with waiting:
                self._nursery.start_soon(self._attempt, pending, attempt)
                return await self._wait_for(pending)
            raise GivenUp

        return waited_for

    def read_on(self, stream: CommittedStream, run: Run, books: Books) -> None:
        """Take over a stream that nobody reads any more, or close it. Synchronous; owns it from now on."""
        self._take_over(stream, run, books, until=self._until())

    def _until(self) -> float:
        return trio.current_time() + self._seconds

    def _has_room(self) -> bool:
        return self._seconds > 0 and self._nursery is not None and self.in_flight < MOST_DRAINS

    async def _wait_for(self, pending: "_Pending[T]") -> T:
        try:
            await pending.over.wait()
        except trio.Cancelled:
            self._let_go(pending)
            raise
        if pending.value is not None:
            return pending.value
        raise pending.error or UpstreamUnreachable("The gateway is shutting down.")

    def _let_go(self, pending: "_Pending[T]") -> None:
        """Leave an attempt to itself, or end it if it is not worth going on."""
        pending.until = self._until()
        if pending.over.is_set():  # in the very moment of the cancellation
            self._keep_usage(pending)
        elif pending.run.has_asked and self._has_room():
            self.in_flight += 1
            pending.orphaned = True
            pending.scope.deadline = pending.until
        else:
            pending.scope.cancel()

    async def _attempt(
        self, pending: "_Pending[T]", attempt: Callable[[Run], Awaitable[T]]
    ) -> None:
        try:
            with pending.scope:
                pending.value = await attempt(pending.run)
        except Exception as error:  # noqa: BLE001 - it is raised where the attempt is awaited
            pending.error = error
        finally:
            pending.over.set()
            if pending.orphaned:
                self.in_flight -= 1
                self._keep_usage(pending)

    def _keep_usage(self, pending: "_Pending[T]") -> None:
        """Find out what an attempt has cost that is over, and that nobody waits for."""
        value, run, books = pending.value, pending.run, pending.books
        if isinstance(value, CommittedStream):
            self._take_over(value, run, books, until=pending.until)
        elif isinstance(value, Answer):
            self._report(value, run, books)
        elif pending.error is not None and not isinstance(pending.error, GatewayError):
            self._on_bug(pending.error)

    def _take_over(self, stream: CommittedStream, run: Run, books: Books, *, until: float) -> None:
        nursery = self._nursery
        if nursery is None or stream.done or not self._has_room():
            stream.response.discard()
            self._report(stream.decoder, run, books)
            return
        self.in_flight += 1
        nursery.start_soon(self._drain, stream, run, books, until)

    async def _drain(self, stream: CommittedStream, run: Run, books: Books, until: float) -> None:
        try:
            with trio.CancelScope(deadline=until):
                await _read_to_the_end(stream)
        except UpstreamTransportError:
            pass  # what it told before it broke is told
        except Exception as bug:  # noqa: BLE001 - it must not take the process down, and with it all requests
            self._on_bug(bug)
        finally:
            self.in_flight -= 1
            stream.response.discard()
            self._report(stream.decoder, run, books)

    def _report(self, source: StreamDecoder | Answer, run: Run, books: Books) -> None:
        """Enter what was told, if anything was."""
        bill = books.drained(run, source.usage) if source.usage is not None else None
        if bill is not None:
            self._late(books.whose, bill)


class _Pending(Generic[T]):
    """An attempt that runs in the process's nursery while its race waits for it.

    `orphaned`: nobody waits for it any more, and it may run on `until` then.
    """

    def __init__(self, run: Run, books: Books) -> None:
        self.run = run
        self.books = books
        self.scope = trio.CancelScope()
        self.over = trio.Event()
        self.value: T | None = None
        self.error: Exception | None = None
        self.orphaned = False
        self.until = 0.0


async def _read_to_the_end(stream: CommittedStream) -> None:
    decoder = stream.decoder
    while not stream.done:
        decoder.receive_data(await stream.response.receive_body())
        while not isinstance(event := decoder.next_event(), Signal):
            pass
        stream.done = event is Signal.END

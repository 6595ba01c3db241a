"""The hedge nursery: attempts race, the first success wins, and nobody is left running.

The shape is that of happy eyeballs in trio's TCP connect: one nursery, one loop, an ownership set of one. The
loop asks the director what to do and carries it out; an attempt that ends wakes it. A failure only hastens
the next start. The winner leaves the nursery as a value; the losers are cancelled by its exit, each closing
its own connection synchronously, and a success that comes too late is thrown away.

An attempt that nobody could join needs none of that: it runs in the request's own task. A nursery is opened
for the first that somebody could join, and closed before the first byte goes to the client.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Generic, Protocol, TypeVar

import msgspec
import trio

from router.errors import GatewayError
from router.exchange.live import Form, LiveEndpoint, Run
from router.routing.availability import Availability
from router.routing.director import Director, Lost, Start, Wait

T = TypeVar("T")


class Contender(msgspec.Struct, frozen=True, eq=False):
    """A live endpoint as it competes for one form of answer."""

    live: LiveEndpoint
    form: Form

    def availability(self, now: float) -> Availability:
        """Return whether it may be asked now."""
        return self.live.availability(now)

    def hedge_after(self, now: float) -> float | None:
        """Return after how many seconds an attempt is worth a hedge; `None` while too little is known."""
        return self.live.picture.timing[self.form].delay.after(now)


class Won(msgspec.Struct, Generic[T], frozen=True):
    """The first success: what it brought, the run that brought it, and whether it was a hedge."""

    value: T
    run: Run
    hedge: bool


class Begun(Protocol):
    """Hears of an attempt as it begins."""

    def __call__(self, run: Run, *, hedge: bool) -> None:
        """Take note of it."""


class Race(Generic[T]):
    """One race for one answer.

    `attempt(run)` tries to get the answer from the run's endpoint, raising `GatewayError`; `discard(value)`
    lets go of one that came too late, synchronously. `begun(run, hedge=...)` hears of every attempt as it
    begins.
    """

    def __init__(
        self,
        director: Director[Contender],
        *,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
        begun: Begun,
        rng: Random,
    ) -> None:
        self._director = director
        self._attempt = attempt
        self._discard = discard
        self._begun = begun
        self._rng = rng
        self._news = trio.Event()
        self._won: Won[T] | None = None
        self._bug: Exception | None = None
        self._numbers = 0

    async def run(self) -> Won[T] | Lost:
        """Race to the end. Cancellation ends every attempt at once; each is entered as given up."""
        try:
            return await self._race()
        except BaseException:
            if self._won is not None:  # won in the very moment in which the client left
                self._won.run.abandoned(trio.current_time())
                self._discard(self._won.value)
            raise

    async def _race(self) -> Won[T] | Lost:
        """Race in this very task while nobody could join in, and in a nursery from then on."""
        while self._won is None:
            action = self._director.next(trio.current_time())
            if isinstance(action, Lost):
                return action
            if isinstance(action, Wait):
                await trio.sleep_until(action.until)
            elif action.alone:
                await self._run(*self._begin(action))
            else:
                return await self._race_together(action)
            if self._bug is not None:
                raise self._bug
        return self._won

    async def _race_together(self, first: Start[Contender]) -> Won[T] | Lost:
        action: Start[Contender] | Wait | Lost = first
        outcome: Won[T] | Lost | None = None
        async with trio.open_nursery() as nursery:
            while True:
                if isinstance(action, Start):
                    nursery.start_soon(self._run, *self._begin(action))
                elif isinstance(action, Wait):
                    with trio.move_on_at(action.until):
                        await self._news.wait()
                    self._news = trio.Event()
                else:
                    outcome = action
                outcome = self._won or outcome
                if outcome is not None or self._bug is not None:
                    break
                action = self._director.next(trio.current_time())
            nursery.cancel_scope.cancel()
        if outcome is None:
            raise self._bug or AssertionError("a race ends with an outcome or a bug")
        return outcome

    def _begin(self, start: Start[Contender]) -> tuple[int, Start[Contender], Run]:
        """Enter an attempt before its task runs, so that whatever comes finds it entered."""
        now = trio.current_time()
        self._numbers += 1
        self._director.started(self._numbers, start.candidate, now)
        timed = partial(self._timed, self._numbers)
        run = Run(start.candidate.live, start.candidate.form, now, timed)
        self._begun(run, hedge=start.hedge)
        return self._numbers, start, run

    def _timed(self, number: int, moment: float | None) -> None:
        self._director.timed_from(number, moment)
        self._news.set()

    async def _run(self, number: int, start: Start[Contender], run: Run) -> None:
        try:
            value = await self._attempt(run)
        except GatewayError as error:
            now = trio.current_time()
            run.failed(error, now=now, rng=self._rng)
            self._director.failed(number, error, now=now, retry_after=error.told_retry_after)
        except Exception as bug:  # noqa: BLE001 - raised again outside the nursery, which would wrap it
            run.abandoned(trio.current_time())
            self._bug = bug
        except BaseException:
            run.abandoned(trio.current_time())
            raise
        else:
            self._take(value, start, run)
        self._news.set()

    def _take(self, value: T, start: Start[Contender], run: Run) -> None:
        if self._won is not None:
            run.abandoned(trio.current_time())
            self._discard(value)
            return
        run.committed(trio.current_time())
        self._won = Won(value, run, start.hedge)

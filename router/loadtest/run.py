"""A load from its first request to its last answer, with a window of steady load measured in it."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from random import Random
from typing import Final

import msgspec
import trio

from router.loadtest.arrivals import closed_loop, open_loop, poisson
from router.loadtest.client import Client, Reading
from router.loadtest.outcome import UNFINISHED, Outcome
from router.loadtest.plan import Plan
from router.loadtest.stream import Pace, StreamReading, WholeReading
from router.loadtest.tally import Tally
from router.loadtest.target import Target
from router.loadtest.watched import Watched
from router.loadtest.wire import Dial

TICK_SECONDS: Final = 0.5
_LOOK_EVERY: Final = 4
"""Ticks between two looks at memory, which cost the kernel a walk through all pages."""
_PAUSE_SECONDS: Final = 0.1
"""What a client of a closed loop waits after a failure, lest it call a dead server as fast as it can."""

Show = Callable[[str], None]


class Moment(msgspec.Struct, frozen=True):
    """What had happened by a moment: CPU times are seconds, `server_cpu` None without a local server."""

    at: float
    answered: int
    events: int
    own_cpu: float
    server_cpu: float | None


class Load:
    """Plays one plan; afterwards `tally`, `pace`, `first` and `last` (of the measured window) can be read."""

    def __init__(
        self, plan: Plan, target: Target, *, dial: Dial, watched: Watched | None, show: Show
    ) -> None:
        self.plan = plan
        self.tally = Tally(warm=plan.warm, seconds=plan.seconds)
        self.pace = Pace(stamped=plan.stamped)
        self.client = Client(dial, self._reading, timeout=plan.timeout)
        self.first: Moment | None = None
        self.last: Moment | None = None
        self._target = target
        self._watched = watched
        self._show = show
        self._start = 0.0
        self._begun = 0

    async def play(self) -> None:
        """Load until the plan is fulfilled and every request is answered or timed out.

        Cancellation drops what is under way; what was measured until then stands.
        """
        self._start = trio.current_time()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_window)
                nursery.start_soon(self._keep_watch)
                await self._loop()
                nursery.cancel_scope.cancel()
        finally:
            self._close_window()
            self.client.close()

    def _reading(self) -> Reading:
        if self.plan.streamed:
            return StreamReading(self.pace, trio.current_time)
        return WholeReading()

    async def _loop(self) -> None:
        plan = self.plan
        if plan.rate is not None:
            chance = Random(plan.seed)  # noqa: S311 - arrivals that can be repeated, no secrets
            await open_loop(self._due(plan.rate, chance), self._ask)
        elif plan.connections is not None:
            await closed_loop(plan.connections, self._numbers(), self._ask_again)

    def _due(self, rate: float, chance: Random) -> Iterator[float]:
        for moment in poisson(rate, chance):
            if not self._goes_on(moment):
                return
            yield moment

    def _numbers(self) -> Iterator[int]:
        for number in count():
            if not self._goes_on(trio.current_time() - self._start):
                return
            yield number

    def _goes_on(self, moment: float) -> bool:
        """Tell whether a request may begin then, and count it if it is measured."""
        plan = self.plan
        if moment >= plan.warm + plan.seconds:
            return False
        if moment >= plan.warm:
            if plan.requests is not None and self._begun >= plan.requests:
                return False
            self._begun += 1
        return True

    async def _ask(self, number: int, due: float) -> None:
        await self._measured(number, due)

    async def _ask_again(self, number: int, due: float) -> None:
        outcome = await self._measured(number, due)
        if outcome.problem is not None:
            await trio.sleep(_PAUSE_SECONDS)

    async def _measured(self, number: int, due: float) -> Outcome:
        outcome = Outcome(due, problem=UNFINISHED)
        request = self.plan.request(self._target, number)
        try:
            await self.client.ask(request, outcome, start=self._start)
        finally:
            self.tally.add(outcome)
        return outcome

    async def _keep_window(self) -> None:
        plan = self.plan
        await trio.sleep_until(self._start + plan.warm)
        self.pace.counting = True
        self.first = self._moment()
        await trio.sleep_until(self._start + plan.warm + plan.seconds)
        self._close_window()

    def _close_window(self) -> None:
        if self.first is not None and self.last is None:
            self.last = self._moment()
            self.pace.counting = False

    def _moment(self) -> Moment:
        cpu = None if self._watched is None else self._watched.cpu_seconds()
        answered, events = self.tally.answered, self.pace.events
        return Moment(trio.current_time() - self._start, answered, events, time.process_time(), cpu)

    async def _keep_watch(self) -> None:
        for tick in count():
            if self._watched is not None and tick % _LOOK_EVERY == _LOOK_EVERY - 1:
                self._watched.look(self.client.open)
            self._show(self._said())
            await trio.sleep(TICK_SECONDS)

    def _said(self) -> str:
        elapsed = trio.current_time() - self._start
        warming = " (warming up)" if elapsed < self.plan.warm else ""
        first = self.tally.first_token if self.plan.streamed else self.tally.latency
        p50 = f", p50 {first.percentile(0.5) * 1000:.1f} ms" if first.count else ""
        return (
            f"{elapsed:.0f} s{warming}: {self.tally.answered:,} answered, {self.client.open:,} under way, "
            f"{self.tally.problems.total():,} failed, {self.pace.events:,} events{p50}"
        )

"""What each contestant goes through in a run: many streams first, while it is fresh, then fewer, then
requests.

The first round of streams tells what a stream costs in memory, which only a process that has not yet seen
as many can show.
"""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
import trio

from bench.compare.record import Probe, Requests, Settings, Streams
from router.loadtest.client import Client, Reading
from router.loadtest.measure import cpu_seconds_of, memory_of, process_tree
from router.loadtest.outcome import UNFINISHED, Outcome
from router.loadtest.plan import Plan
from router.loadtest.pump import open_pump
from router.loadtest.run import Load, Show
from router.loadtest.stream import Pace, StreamReading
from router.loadtest.target import Target

STARTS_PER_SECOND: Final = 400
BEGIN_SECONDS: Final = 10.0
_SLACK_SECONDS: Final = 5.0
"""By so much streams outlast what is planned. They do end: some gateways read on without a client."""
_TIMEOUT: Final = 600.0
_SHOWN: Final = 3
_CALM_SECONDS: Final = 20.0
_CALM_EVERY: Final = 0.25
_CALM: Final = 0.1
"""The share of a core below which a contestant is at rest."""


class Course(msgspec.Struct, frozen=True):
    """One target under load. `pid` is of what is measured, `upstream_pid` of what it asks."""

    target: Target
    pid: int
    upstream_pid: int
    settings: Settings
    show: Show

    async def requests(self, connections: int) -> Requests:
        """Ask in a closed loop, answers in one piece."""
        await self._calm()
        settings = self.settings
        plan = Plan(
            model=self.target.model,
            streamed=False,
            connections=connections,
            seconds=settings.seconds,
            warm=settings.warm,
            timeout=BEGIN_SECONDS,
        )
        async with open_pump() as pump:
            load = Load(
                plan, self.target, dial=pump.dialer(self.target), watched=None, show=self.show
            )
            window = _Window(self.pid, self.upstream_pid)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(load.play)
                await trio.sleep(settings.warm)
                window.open(load.tally.answered)
                await trio.sleep(settings.seconds)
                window.close(load.tally.answered)
        return Requests(
            connections=connections,
            cpu_us=window.cpu_us,
            per_second=window.per_second,
            failed=load.tally.requests - load.tally.good,
            busy=window.busy,
            load_busy=window.load_busy,
            by_process_us=window.by_process_us,
        )

    async def streams(self, count: int) -> Streams:
        """Hold so many streams open, and look at what they cost while they run."""
        await self._calm()
        settings = self.settings
        gap_ms = settings.gap_of(count)
        pace = Pace(stamped=True)
        outcomes = [Outcome(0.0, problem=UNFINISHED) for _ in range(count)]
        before = _pss(self.pid)
        window = _Window(self.pid, self.upstream_pid)
        probe = None
        async with open_pump() as pump:

            def reading() -> Reading:
                return StreamReading(pace, trio.current_time)

            client = Client(pump.dialer(self.target), reading, timeout=_TIMEOUT)
            async with trio.open_nursery() as nursery:
                await self._begin(nursery, client, outcomes, gap_ms)
                pace.counting = True
                window.open(pace.events)
                await trio.sleep(settings.seconds)
                window.close(pace.events)
                grown = _pss(self.pid) - before
                opened, broken = client.open, [one for one in outcomes if one.told]
                ended = sum(one.problem is None for one in outcomes)
                if count in settings.probed:
                    pace.counting = False
                    probe = await self._probe()
                nursery.cancel_scope.cancel()
            client.close()
        return Streams(
            streams=count,
            gap_ms=gap_ms,
            open=opened,
            lost=count - opened - ended,
            told=[one.told for one in broken[:_SHOWN]],
            cpu_us=window.cpu_us,
            per_second=window.per_second,
            busy=window.busy,
            load_busy=window.load_busy,
            transit_p50=pace.transit.percentile(0.5) if pace.transit.count else 0.0,
            transit_p99=pace.transit.percentile(0.99) if pace.transit.count else 0.0,
            bytes_per_stream=grown / max(1, opened),
            probe=probe,
        )

    async def _calm(self) -> None:
        """Wait, for a bounded time, until what came before has been cleared away."""
        pids = process_tree(self.pid)
        with trio.move_on_after(_CALM_SECONDS):
            busy = 1.0
            while busy > _CALM:
                before = cpu_seconds_of(pids)
                await trio.sleep(_CALM_EVERY)
                busy = (cpu_seconds_of(pids) - before) / _CALM_EVERY

    async def _begin(
        self, nursery: trio.Nursery, client: Client, outcomes: Sequence[Outcome], gap_ms: int
    ) -> None:
        """Start the streams at an even pace, and wait until all have begun, for a bounded time."""
        start = trio.current_time()
        settings = self.settings
        spread = len(outcomes) / STARTS_PER_SECOND
        probing = settings.probe_seconds if len(outcomes) in settings.probed else 0.0
        lasting = spread + settings.seconds + probing + _SLACK_SECONDS
        plan = Plan(
            model=self.target.model,
            connections=1,
            prompt=f"[tokens={round(1000 * lasting / gap_ms)} gap={gap_ms}]",
            max_tokens=None,
        )
        for number, outcome in enumerate(outcomes):
            outcome.due = number / STARTS_PER_SECOND
            await trio.sleep_until(start + outcome.due)
            request = plan.request(self.target, number)
            nursery.start_soon(partial(client.ask, request, outcome, start=start))
        with trio.move_on_after(BEGIN_SECONDS):
            while client.open < len(outcomes) and not all(one.told for one in outcomes):
                self.show(f"{client.open} of {len(outcomes)} streams have begun")
                await trio.sleep(0.05)
        await trio.sleep(settings.settle)

    async def _probe(self) -> Probe:
        """Ask for short streams beside the long ones."""
        settings = self.settings
        plan = Plan(
            model=self.target.model,
            rate=settings.probe_rate,
            seconds=settings.probe_seconds,
            warm=0.3,
            prompt="[tokens=1 gap=1]",
            max_tokens=None,
            timeout=BEGIN_SECONDS,
        )
        async with open_pump() as pump:
            load = Load(
                plan, self.target, dial=pump.dialer(self.target), watched=None, show=self.show
            )
            with trio.move_on_after(settings.probe_seconds + BEGIN_SECONDS):
                await load.play()
        first, tally = load.tally.first_token, load.tally
        return Probe(
            count=first.count,
            p50=first.percentile(0.5) if first.count else 0.0,
            p99=first.percentile(0.99) if first.count else 0.0,
            failed=tally.requests - tally.good,
        )


class _Window:
    """A stretch of steady load between two readings of the processors' clocks."""

    def __init__(self, pid: int, upstream_pid: int) -> None:
        self._pids = process_tree(pid)
        self._upstream = [upstream_pid]
        self._first = self._read(0)
        self._last = self._first

    def open(self, units: int) -> None:
        """The window begins; `units` of work have been done by now."""
        self._first = self._read(units)

    def close(self, units: int) -> None:
        """It ends."""
        self._last = self._read(units)

    @property
    def seconds(self) -> float:
        return self._last.at - self._first.at

    @property
    def units(self) -> int:
        return self._last.units - self._first.units

    @property
    def per_second(self) -> float:
        return self.units / self.seconds

    @property
    def by_process_us(self) -> list[float]:
        """CPU microseconds of each process for a unit of all; 0 without any."""
        pairs = zip(self._first.each, self._last.each, strict=True)
        return [1e6 * (last - first) / self.units if self.units else 0.0 for first, last in pairs]

    @property
    def cpu_us(self) -> float:
        return sum(self.by_process_us)

    @property
    def busy(self) -> float:
        return (sum(self._last.each) - sum(self._first.each)) / self.seconds

    @property
    def load_busy(self) -> float:
        return (self._last.load - self._first.load) / self.seconds

    def _read(self, units: int) -> "_Reading":
        each = [cpu_seconds_of([pid]) for pid in self._pids]
        load = time.process_time() + cpu_seconds_of(self._upstream)
        return _Reading(time.monotonic(), units, each, load)


class _Reading(msgspec.Struct, frozen=True):
    at: float
    units: int
    each: list[float]
    load: float


def _pss(pid: int) -> int:
    return memory_of(process_tree(pid)).pss_bytes

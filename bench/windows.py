"""A window: a stretch of steady load between two readings, which is where figures are taken from.

The start of a load (connections being made, streams being asked for) costs something else than
its course, so it is left out: plain requests warm up for a while first, and a window over streams opens
only when every stream has begun and closes before the first one ends.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
import trio

from bench.load import StreamOutcome, Tally, ask_repeatedly, run_streams
from bench.work import Work
from router.loadtest.measure import Probe, Window, between
from router.loadtest.wire import Dial

GRACE_SECONDS = 30.0
TICK_SECONDS = 0.5
LATE_SECONDS = 5.0
"""By so much the last stream may begin late on a busy machine."""

Show = Callable[[str], None]


class LoadFailed(Exception):
    """The load did not run as it was meant to, so there is no figure."""


class WindowSettings(Protocol):
    """What was asked for of windows: seconds of load before one and in it, and tokens of an answer."""

    @property
    def tokens(self) -> int: ...  # noqa: D102 - see the class
    @property
    def warm(self) -> float: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


class Span(msgspec.Struct, frozen=True):
    """Seconds of load before the window and in it, and over how many seconds streams start."""

    warm: float
    seconds: float
    spread: float = 1.0

    @property
    def stream_seconds(self) -> float:
        """How long a stream has to last, to be open from the first start to after the window."""
        return self.spread + self.warm + self.seconds + LATE_SECONDS


async def request_window(
    dial: Dial, works: Sequence[Work], probe: Probe, *, span: Span, show: Show
) -> Window:
    """Keep a connection busy for each work; the window's units are answers.

    Raises an exception group of what went wrong, or TooSlowError when the last answers stay away.
    """
    tally = Tally()
    with trio.fail_after(span.warm + span.seconds + GRACE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask_repeatedly, dial, works, tally)
            await trio.sleep(span.warm)
            first = probe.read(tally.completed)
            await pause(span.seconds, lambda: show(f"{tally.completed:,} answers"))
            last = probe.read(tally.completed)
            tally.stopping = True
    return between(first, last)


async def stream_window(
    dial: Dial, works: Sequence[Work], probe: Probe, *, span: Span, show: Show
) -> Window:
    """Run a stream for each work to its end; the window's units are events.

    Raises LoadFailed when a stream was wrong or was not open for the whole window.
    """
    tally = Tally()
    outcomes: list[StreamOutcome] = []
    limit = span.stream_seconds + GRACE_SECONDS

    async def run() -> None:
        outcomes.extend(await run_streams(dial, works, tally, spread=span.spread, limit=limit))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run)
        await trio.sleep(span.spread)
        await _all_open(tally, len(works))
        await trio.sleep(span.warm)
        first = probe.read(tally.events)
        open_first = tally.open
        await pause(span.seconds, lambda: show(f"{tally.events:,} events of {tally.open} streams"))
        last = probe.read(tally.events)
        open_last = tally.open
    check_streams(outcomes)
    if not open_first == open_last == len(works):
        raise LoadFailed(f"of {len(works)} streams {open_first} and {open_last} were open")
    return between(first, last)


async def _all_open(tally: Tally, streams: int) -> None:
    """Wait until that many streams have begun, for a bounded time; whether they have shows in the end."""
    with trio.move_on_after(LATE_SECONDS):
        while tally.open < streams:  # noqa: ASYNC110 - an event would cost every stream a check
            await trio.sleep(TICK_SECONDS / 10)


async def idle_window(probe: Probe, *, seconds: float) -> Window:
    """No load at all; the units are 0."""
    first = probe.read(0)
    await trio.sleep(seconds)
    return between(first, probe.read(0))


async def pause(seconds: float, tick: Callable[[], None]) -> None:
    """Sleep, with a sign of life every half second."""
    end = trio.current_time() + seconds
    while (now := trio.current_time()) < end:
        tick()
        await trio.sleep_until(min(end, now + TICK_SECONDS))


def check_streams(outcomes: Sequence[StreamOutcome]) -> None:
    """Raise LoadFailed if a stream was not complete and right."""
    broken = [outcome for outcome in outcomes if outcome.problem is not None]
    if broken:
        first = broken[0]
        raise LoadFailed(
            f"{len(broken)} of {len(outcomes)} streams failed; number {first.number}: {first.problem}"
        )

"""What this load generator can do at most on this machine, measured against a server that costs next to
nothing.

It runs in one thread. So its CPU time for a request and for a streamed event says where its core would be
full, whatever the server it loads. Beyond half of that it starts to be part of what it measures: its
readings come late, and lateness looks like latency.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec

from router.loadtest.plan import Plan
from router.loadtest.pump import open_pump
from router.loadtest.run import Load
from router.loadtest.target import Target

HALF: Final = 0.5
_SECONDS: Final = 1.0
_WARM: Final = 0.2
_CONNECTIONS: Final = 32
_STREAMS: Final = 20
_PROMPT: Final = "[tokens=50 gap=2]"
_END_SECONDS: Final = 5.0


class CalibrationFailed(Exception):
    """The local responder could not be loaded."""


class Ceiling(msgspec.Struct, frozen=True):
    """CPU time of the load generator in microseconds: for a request, and for an event of a stream."""

    request_us: float
    event_us: float

    @property
    def requests_per_second(self) -> float:
        """As many requests a second would fill its core."""
        return 1e6 / self.request_us

    @property
    def events_per_second(self) -> float:
        """As many events a second would fill its core."""
        return 1e6 / self.event_us

    def used(self, *, requests_per_second: float, events_per_second: float) -> float:
        """Return which share of its core a load takes."""
        took = requests_per_second * self.request_us + events_per_second * self.event_us
        return took / 1e6


async def find_ceiling() -> Ceiling:
    """Load a responder of our own for a moment, in both ways. Raises CalibrationFailed, or OSError."""
    with _responder() as base_url:
        target = Target.of_url(base_url, key="none", model="canned")
        whole = Plan(
            model="canned",
            streamed=False,
            connections=_CONNECTIONS,
            seconds=_SECONDS,
            warm=_WARM,
            timeout=_END_SECONDS,
        )
        request_us, _ = await _cost(whole, target)
        streams = msgspec.structs.replace(
            whole, streamed=True, connections=_STREAMS, prompt=_PROMPT
        )
        took_us, events = await _cost(streams, target)
    return Ceiling(request_us, max(took_us - request_us, 0.0) / events)


async def _cost(plan: Plan, target: Target) -> tuple[float, float]:
    """Return the CPU microseconds of a request, and how many events one had."""
    async with open_pump() as pump:
        load = Load(plan, target, dial=pump.dialer(target), watched=None, show=lambda _: None)
        await load.play()
    first, last = load.first, load.last
    if first is None or last is None or last.answered == first.answered:
        raise CalibrationFailed(f"the responder answered nothing: {load.tally.told}")
    answered = last.answered - first.answered
    took_us = 1e6 * (last.own_cpu - first.own_cpu) / answered
    return took_us, (last.events - first.events) / answered


@contextmanager
def _responder() -> Iterator[str]:
    """Run the responder as a process, and give its base URL."""
    command = [sys.executable, "-m", "router.loadtest.responder"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own module
    try:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            raise CalibrationFailed("the responder did not start")
        yield line.strip()
    finally:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()

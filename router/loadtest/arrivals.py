"""When requests begin: at moments of their own (an open loop), or when an answer has come (a closed one).

Users do not wait for each other, so an open loop is what latency is to be measured with: a server that stalls
for a second meets all who came in that second, and each of them waited since the moment at which they came.
A closed loop asks a slow server less. It finds what a server can do, and its latencies flatter.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from random import Random

import trio

Ask = Callable[[int, float], Awaitable[None]]
"""Asks the request of a number that was due so many seconds after the start."""


def poisson(rate: float, chance: Random) -> Iterator[float]:
    """Yield the moments of independent arrivals, `rate` a second on average, without end."""
    moment = 0.0
    while True:
        moment += chance.expovariate(rate)
        yield moment


async def open_loop(due: Iterable[float], ask: Ask) -> None:
    """Ask at each of the moments (ascending seconds from now), whether or not others are answered.

    Returns when all are answered. Cancellation drops those under way.
    """
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number, seconds in enumerate(due):
            if start + seconds > trio.current_time():
                await trio.sleep_until(start + seconds)
            nursery.start_soon(ask, number, seconds)


async def closed_loop(connections: int, numbers: Iterator[int], ask: Ask) -> None:
    """Let each of so many clients ask its next request when it has its answer, until the numbers run out."""
    start = trio.current_time()

    async def repeat() -> None:
        for number in numbers:
            await ask(number, trio.current_time() - start)

    async with trio.open_nursery() as nursery:
        for _ in range(connections):
            nursery.start_soon(repeat)

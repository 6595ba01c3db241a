"""The load: clients that ask, read the answer as it comes, and check it.

Requests run in a closed loop: each connection asks again when it has its answer, so that so many are
always under way and the server is as busy as it can be. That measures the cost of a request well and
latency badly (a slow server is asked less), so no latency is taken from it. Streams set their
own pace, as the provider's do. Those that begin at given moments do so whether or not others are
answered (an open loop), so their times to first token can be taken: from the moment at which a stream was
due, lest a load that runs late make the server look fast.

A wrong answer to a plain request ends the run with an exception: no figure is worth having from a
server that answers wrongly. A stream's fault is written down and the others go on, because which
and how many broke is the finding. Neither function knows whether it talks to sockets.
"""

import time
from collections.abc import Sequence
from contextlib import closing

import msgspec
import trio

from bench.answers import StreamCheck, check_whole
from bench.work import Work
from router.loadtest.arrivals import open_loop
from router.loadtest.exchange import WrongAnswer, exchange
from router.loadtest.response import BadResponse
from router.loadtest.wire import Dial

UNFINISHED = "did not end in time"


class Tally(msgspec.Struct):
    """Running counts of one load. Setting `stopping` lets each connection end after its answer.

    `completed` counts answers, `events` streamed events. `open` counts streams which have had their first
    event and are not over, `peak_open` the most there were at once.
    """

    completed: int = 0
    events: int = 0
    open: int = 0
    peak_open: int = 0
    stopping: bool = False


class StreamOutcome(msgspec.Struct):
    """How one stream went: seconds from its request to its end, events, and what was wrong if anything.

    `late` is by how many seconds the load began it after it was due, `first_token` the seconds from when it
    was due to its first text, `None` without any.
    """

    number: int
    seconds: float = 0.0
    events: int = 0
    problem: str | None = UNFINISHED
    late: float = 0.0
    first_token: float | None = None


async def ask_repeatedly(dial: Dial, works: Sequence[Work], tally: Tally) -> None:
    """Keep one connection busy for each work, until `tally.stopping`.

    Raises (in an exception group) WrongAnswer, BadResponse, OSError or trio.BrokenResourceError at the
    first failure. Cancellation drops the connections.
    """
    async with trio.open_nursery() as nursery:
        for work in works:
            nursery.start_soon(_ask_repeatedly, dial, work, tally)


async def run_streams(
    dial: Dial, works: Sequence[Work], tally: Tally, *, spread: float, limit: float
) -> list[StreamOutcome]:
    """Run one stream for each work and report on every one of them.

    They start evenly over `spread` seconds: clients do not arrive in one instant, and bursts of events would
    measure something else. After `limit` seconds in all, what is still open is dropped.
    """
    due = [spread * number / len(works) for number in range(len(works))]
    return await run_streams_at(due, dial, works, tally, limit=limit)


async def run_streams_at(
    due: Sequence[float], dial: Dial, works: Sequence[Work], tally: Tally, *, limit: float
) -> list[StreamOutcome]:
    """Run one stream for each work, begun when it is due, and report on every one of them.

    `due` are ascending seconds from now. After `limit` seconds in all, what is still open is dropped.
    """
    outcomes = [StreamOutcome(number) for number in range(len(works))]
    start = trio.current_time()

    async def ask(number: int, at: float) -> None:
        await _stream_due(start + at, dial, works[number], tally, outcomes[number])

    with trio.move_on_after(limit):
        await open_loop(due, ask)
    return outcomes


async def _ask_repeatedly(dial: Dial, work: Work, tally: Tally) -> None:
    with closing(await dial()) as wire:
        while not tally.stopping:
            pieces: list[bytes] = []
            await exchange(wire, work.request, pieces.append)
            check_whole(b"".join(pieces), work)
            tally.completed += 1


async def _stream_due(
    at: float, dial: Dial, work: Work, tally: Tally, outcome: StreamOutcome
) -> None:
    begun = time.monotonic()
    outcome.late = trio.current_time() - at
    try:
        await _stream(at, dial, work, tally, outcome)
    except (WrongAnswer, BadResponse) as error:
        outcome.problem = str(error)
    except (OSError, trio.BrokenResourceError) as error:
        outcome.problem = f"the connection failed: {error!r}"
    else:
        outcome.problem = None
    finally:
        outcome.seconds = time.monotonic() - begun


async def _stream(at: float, dial: Dial, work: Work, tally: Tally, outcome: StreamOutcome) -> None:
    check = StreamCheck(work)

    def receive(body: bytes) -> None:
        check.receive_data(body)
        if not outcome.events and check.events:
            tally.open += 1
            tally.peak_open = max(tally.peak_open, tally.open)
        if outcome.first_token is None and check.has_text:
            outcome.first_token = trio.current_time() - at
        tally.events += check.events - outcome.events
        outcome.events = check.events

    try:
        with closing(await dial()) as wire:
            await exchange(wire, work.request, receive)
        check.finish()
        tally.completed += 1
    finally:
        if outcome.events:
            tally.open -= 1

"""The simulated provider on a real socket, in a thread of the test's own process.

So a test can order faults from it and read what it has seen, while everything between the client and
it is real. What a test reads are plain numbers and a deque, which change whole; what it orders goes
in by one `extend`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue

import trio

from router.simulator import Simulator


@contextmanager
def serving(simulator: Simulator) -> Iterator[int]:
    """Serve the simulator on a port of the loopback interface, which is given; ends with the block."""
    started: Queue[tuple[int, trio.CancelScope, trio.lowlevel.TrioToken]] = Queue()

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                port = await nursery.start(simulator.serve)
                started.put((port, scope, trio.lowlevel.current_trio_token()))

    thread = threading.Thread(target=trio.run, args=(main,), name="simulated provider")
    thread.start()
    port, scope, token = started.get(timeout=10)
    try:
        yield port
    finally:
        token.run_sync_soon(scope.cancel)
        thread.join(timeout=10)
        assert not thread.is_alive()

"""One worker process, as the supervisor sees it.

A worker is a fresh interpreter, not a fork: a forked child would inherit an event loop, threads and locks in
whatever state they were. It sits in a process group of its own, because a terminal sends Ctrl-C to the whole
group, and a worker that hears it twice (there, and from its supervisor) would end at once.
"""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from typing import Final, Protocol

import msgspec
import trio

from router.workers.channel import Assignment, Channel, Order, Report, encode_assignment

_REAP_SECONDS: Final = 10.0


class Worker(Protocol):
    """A worker that was started."""

    @property
    def pid(self) -> int:
        """The process."""

    async def report(self) -> Report | None:
        """Return what it says of its start, or `None` if it ended without a word."""

    async def order(self, order: Order) -> None:
        """Give an order; one that nobody hears any more is dropped."""

    async def wait(self) -> str:
        """Wait for its end, and return what ended it."""

    def kill(self) -> None:
        """End it at once."""


Spawn = Callable[[Assignment], AbstractAsyncContextManager[Worker]]


class WorkerProcess:
    """A worker in a process of its own; `Worker` says what its methods do."""

    def __init__(self, process: trio.Process, channel: Channel) -> None:
        self._process = process
        self._channel = channel

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    async def report(self) -> Report | None:
        """Wait for its word."""
        line = await self._channel.receive()
        return None if line is None else msgspec.json.decode(line, type=Report)

    async def order(self, order: Order) -> None:
        """Pass on an order."""
        with suppress(trio.BrokenResourceError):  # it has ended, and `wait` tells of that
            await self._channel.send(order.encode())

    async def wait(self) -> str:
        """Wait for its exit status, in words."""
        return describe_status(await self._process.wait())

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self._process.kill()


@asynccontextmanager
async def spawn_process(assignment: Assignment) -> AsyncIterator[Worker]:
    """Run a worker for the length of the block; what still runs at its end is killed. Raises `OSError`."""
    ours, theirs = trio.socket.socketpair()
    channel = Channel(trio.SocketStream(ours))
    try:
        # Copies, because the supervisor may close its own while the process is being started.
        with _copies(assignment.listeners) as numbers:
            assignment = msgspec.structs.replace(assignment, listeners=numbers)
            process = await _start(assignment, theirs)
        try:
            with suppress(trio.BrokenResourceError):  # it has ended, and `wait` tells of that
                await channel.send(encode_assignment(assignment))
            yield WorkerProcess(process, channel)
        finally:
            process.kill()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + _REAP_SECONDS):
                await process.wait()
    finally:
        channel.close()


def describe_status(status: int) -> str:
    """Return a process's exit status in words."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return f"killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"killed by signal {-status}"


@contextmanager
def _copies(numbers: Sequence[int]) -> Iterator[list[int]]:
    copies = [os.dup(number) for number in numbers]
    try:
        yield copies
    finally:
        for copy in copies:
            os.close(copy)


async def _start(assignment: Assignment, theirs: trio.socket.SocketType) -> trio.Process:
    with theirs:
        return await trio.lowlevel.open_process(
            # -P: whatever lies in the current folder is not to be taken for one of our packages.
            [sys.executable, "-P", "-m", "router.workers", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(), *assignment.listeners),
            process_group=0,
        )

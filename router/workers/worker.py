"""A worker: the gateway as it always is, on sockets it was given, told by its supervisor when to end.

SIGTERM does the same as an order, so an operator can retire a single worker. A supervisor that has vanished
is an order too: nobody will start a worker anew, stop it, or read what it costs.
"""

import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
import trio

from router.app import serve_gateway
from router.observe.bridge import configure_logging
from router.process import allow_many_open_files, prepare_interpreter, stop_on_signal
from router.upstream.dial import TcpDialer
from router.workers.channel import Assignment, Channel, Failed, Listening, Report, decode_assignment
from router.workers.failure import MENDABLE, leaves
from router.workers.seat import Seat


async def run_worker(channel_number: int) -> int:
    """Do what the supervisor at the other end of this file descriptor says; return the exit code."""
    channel = Channel(trio.SocketStream(_adopt(channel_number)))
    line = await channel.receive()
    if line is None:
        return 1  # the supervisor went before it had said a word
    failures: list[BaseException] = []
    try:
        await _serve(decode_assignment(line), channel)
    except* MENDABLE as group:
        failures.extend(leaves(group))
    if failures:
        await _tell(channel, Failed("; ".join(str(failure) for failure in failures)))
    return 1 if failures else 0


async def _serve(assignment: Assignment, channel: Channel) -> None:
    allow_many_open_files()
    config = assignment.config
    log = configure_logging(config.log.level, config.log.format, worker=assignment.index)
    folder = Path(assignment.folder)
    seat = Seat(assignment.index, folder=folder, listeners=_listeners(assignment.listeners))
    stop, orphaned = trio.Event(), trio.Event()
    async with trio.open_nursery() as nursery:

        def announce(urls: list[str]) -> None:
            prepare_interpreter()
            nursery.start_soon(_tell, channel, Listening(urls))

        nursery.start_soon(stop_on_signal, stop)
        nursery.start_soon(_heed_supervisor, channel, seat, orphaned, stop)
        await serve_gateway(
            config, log=log, dial=TcpDialer(), stop=stop, seat=seat, on_listening=announce
        )
        nursery.cancel_scope.cancel()
    if orphaned.is_set():
        _remove_if_empty(folder)


async def _heed_supervisor(
    channel: Channel, seat: Seat, orphaned: trio.Event, stop: trio.Event
) -> None:
    """Stop at the one order that comes, or when the supervisor is gone; wait for that in any case."""
    order = await channel.receive()
    # An orphan keeps a port that the next supervisor wants, so it must not linger either.
    seat.relieved = order is None or order == b"relieve"
    stop.set()
    if order is not None:
        await channel.receive()
    orphaned.set()


def _remove_if_empty(folder: Path) -> None:
    """Do in the supervisor's place what it can no longer do; the last of several orphans succeeds."""
    with suppress(OSError):  # siblings are in it still, or one was faster
        folder.rmdir()


async def _tell(channel: Channel, report: Report) -> None:
    with suppress(trio.BrokenResourceError):  # the supervisor is gone, and orders end by that
        await channel.send(msgspec.json.encode(report))


def _listeners(numbers: Sequence[int]) -> list[trio.SocketListener]:
    return [trio.SocketListener(_adopt(number)) for number in numbers]


def _adopt(number: int) -> trio.socket.SocketType:
    """Take over a socket that the supervisor passed on; children of this process do not get it."""
    os.set_inheritable(number, False)  # noqa: FBT003 - the system's own signature
    return trio.socket.from_stdlib_socket(socket.socket(fileno=number))

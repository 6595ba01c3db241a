"""The clients' sockets, all read by one task.

With a task for each stream, every event costs two task switches, a change of the poll set and a
read in vain: many times what checking the event costs. Here one task, the pump, waits on an epoll
set that holds every socket with an answer under way. When it wakes, it reads whichever are ready and
gives the bytes to their takers; the client's task sleeps until its taker has seen the end. The
client stays an ordinary task, with its own nursery, errors and cancellation.

Waking is most of what is left, so a pump can rest a moment after each pass and find more ready the
next time. That delays the readings, and is for loads from which no latency is taken.
"""

import select
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import msgspec
import outcome
import trio

from router.loadtest.target import Target
from router.loadtest.tls import tls_wire
from router.loadtest.wire import Dial, Take, Wire

READ_BYTES: Final = 65_536
STREAM_REST_SECONDS: Final = 0.005
"""A pump's rest under many streams."""


class _Reader(msgspec.Struct, frozen=True):
    socket: socket.socket
    take: Take
    task: trio.lowlevel.Task


async def _connect(host: str, port: int) -> socket.socket:
    """Try a host's addresses in turn. Raises OSError if none of them takes the connection."""
    found = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for number, (family, kind, protocol, _, address) in enumerate(found, 1):
        with trio.socket.socket(family, kind, protocol) as connecting:
            try:
                await connecting.connect(address)
            except OSError:
                if number == len(found):
                    raise
                continue
            connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected = socket.socket(fileno=connecting.detach())
        connected.settimeout(0)
        return connected
    raise OSError(f"{host} has no address")


class Pump:
    """Reads many sockets in one task and rests `rest` seconds after each pass; made by `open_pump`."""

    def __init__(self, rest: float) -> None:
        self._rest = rest
        self._epoll = select.epoll()
        self._readers: dict[int, _Reader] = {}

    def dialer(self, target: Target) -> Dial:
        """Return a way to connect to a target. What it opens has to be closed before the pump ends."""
        secret = ssl.create_default_context() if target.tls else None

        async def dial() -> Wire:
            connected = await _connect(target.host, target.port)
            wire = SocketWire(connected, self)
            return wire if secret is None else await tls_wire(wire, secret, target.host)

        return dial

    async def receive(self, source: socket.socket, take: Take) -> None:
        """Read a socket until `take` has all. Cancellation stops reading; the socket stays open."""
        number = source.fileno()
        self._readers[number] = _Reader(source, take, trio.lowlevel.current_task())
        self._epoll.register(number, select.EPOLLIN)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._forget(number)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def run(self) -> None:
        """Serve the readers until cancelled."""
        try:
            while True:
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                for number, _ in self._epoll.poll(0):
                    self._read(number)
                if self._rest:
                    await trio.sleep(self._rest)
        finally:
            trio.lowlevel.notify_closing(self._epoll.fileno())
            self._epoll.close()

    def _read(self, number: int) -> None:
        reader = self._readers[number]
        try:
            finished = reader.take(reader.socket.recv(READ_BYTES))
        except BlockingIOError:
            return
        except Exception as error:  # noqa: BLE001 - it belongs to the task that reads, and is raised there
            self._wake(number, outcome.Error(error))
        else:
            if finished:
                self._wake(number, outcome.Value(None))

    def _wake(self, number: int, result: "outcome.Outcome[None]") -> None:
        task = self._readers[number].task
        self._forget(number)
        trio.lowlevel.reschedule(task, result)

    def _forget(self, number: int) -> None:
        del self._readers[number]
        self._epoll.unregister(number)


class SocketWire:
    """A connected TCP socket whose answers the pump reads."""

    def __init__(self, connected: socket.socket, pump: Pump) -> None:
        self._socket = connected
        self._pump = pump

    async def send(self, data: bytes) -> None:
        """Send everything, waiting where the socket takes no more."""
        await trio.lowlevel.checkpoint()
        left = memoryview(data)
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await trio.lowlevel.wait_writable(self._socket)

    async def receive(self, take: Take) -> None:
        """Read until `take` says that it has all."""
        await self._pump.receive(self._socket, take)

    def close(self) -> None:
        """Close at once."""
        self._socket.close()


@asynccontextmanager
async def open_pump(*, rest: float = 0.0) -> AsyncIterator[Pump]:
    """Run a pump for as long as the block lasts."""
    pump = Pump(rest)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pump.run)
        yield pump
        nursery.cancel_scope.cancel()

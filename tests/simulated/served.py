"""A server under test on real loopback sockets, its clock virtual, with applications that misbehave.

The clock jumps to the next deadline when no socket has had anything to do for a moment, so limits of half
a minute are tested exactly and at once.
"""

import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import trio
import trio.testing
from hypercorn.typing import ASGIFramework

from router.config import ServerConfig
from router.front.http1.asgi_calls import Address, AsgiCalls
from router.front.http1.connection import Plane
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.message import Http1Parser, RequestHead
from router.front.http1.turn import Turn
from router.front.listeners import open_listeners
from router.front.server import Server, server_ssl_context
from tests.simulated.simulator_wire import Answer, WireClient

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
QUIET_SECONDS = 0.03  # real ones: how long no socket has to speak for the clock to jump

Messages = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Messages, Send], Awaitable[None]]


def on_real_sockets(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario whose clock jumps when all is quiet."""
    clock = trio.testing.MockClock(autojump_threshold=QUIET_SECONDS)
    trio.run(partial(scenario), clock=clock)


class Served:
    """A running server, and when its `run` returned."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.scope = trio.CancelScope()
        self._ended = trio.Event()
        self._streams: list[trio.SocketStream] = []

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            await self.server.run(task_status=task_status)
        self._ended.set()

    async def connect(self, *, receive_buffer_bytes: int | None = None) -> trio.SocketStream:
        """A connection that is closed at the end of the scenario, if not before."""
        sock = trio.socket.socket()
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        await sock.connect(("127.0.0.1", self.port))
        self._streams.append(trio.SocketStream(sock))
        return self._streams[-1]

    async def leave(self) -> None:
        for stream in self._streams:
            await trio.aclose_forcefully(stream)

    async def client(self) -> WireClient:
        return WireClient(await self.connect())

    async def wait_empty(self) -> None:
        """Wait until the last connection has gone."""
        with trio.fail_after(1000):
            await trio.sleep(1)  # those that were just made have been accepted by then
            while self.server.connections:  # noqa: ASYNC110 - the server has no event for it
                await trio.sleep(5)

    async def end(self) -> float:
        """Wait until `run` has returned; the time."""
        await self._ended.wait()
        assert self.server.connections == 0
        return trio.current_time()


class Direct:
    """A plane that leaves every request to an application, which finds the turn itself in its scope."""

    def __init__(self, app: App) -> None:
        self._app = app

    def serve_turn(
        self, request: RequestHead, turn: Turn, *, client: Address
    ) -> Awaitable[None] | None:
        calls = AsgiCalls(turn)
        scope = {"path": request.target.decode(), "client": client, "state": {"turn": turn}}
        return self._app(scope, cast("Messages", calls.receive), cast("Send", calls.send))


@asynccontextmanager
async def serving(
    app: App,
    *,
    ssl_context: ssl.SSLContext | None = None,
    plane: Plane | None = None,
    parser: Callable[[], Http1Parser] = LlhttpParser,
    **config: Any,
) -> AsyncIterator[Served]:
    """Serve `app`, behind `plane`, on the loopback for the length of the block.

    At the end no connection is left.
    """
    listeners = await open_listeners(["127.0.0.1:0"])
    server = Server(
        cast("ASGIFramework", app),
        ServerConfig(**{"http1": os.environ.get("SYZE_HTTP1", "lean")} | config),
        listeners,
        plane=plane,
        ssl_context=ssl_context,
        parser=parser,
    )
    served = Served(server, listeners[0].socket.getsockname()[1])
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(served.run)
            yield served
            served.scope.cancel()
        assert server.connections == 0
    finally:
        await served.leave()
        for listener in listeners:
            await listener.aclose()


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=TLS / "ca.pem")


def server_tls() -> ssl.SSLContext:
    return server_ssl_context(str(TLS / "server.pem"), str(TLS / "server-key.pem"))


async def tls_stream(
    served: Served,
    context: ssl.SSLContext | None = None,
    *,
    receive_buffer_bytes: int | None = None,
) -> trio.SSLStream[trio.SocketStream]:
    """A connection on which both sides have agreed on keys."""
    stream = trio.SSLStream(
        await served.connect(receive_buffer_bytes=receive_buffer_bytes),
        context or trusting(),
        server_hostname="localhost",
        https_compatible=True,
    )
    await stream.do_handshake()
    return stream


async def tls_client(served: Served) -> WireClient:
    return WireClient(await tls_stream(served))


async def read_to_the_end(stream: trio.abc.Stream, into: bytearray | None = None) -> None:
    """Read until the other side closes; raises BrokenResourceError if it does so rudely."""
    async for data in stream:
        if into is not None:
            into += data


async def ask(client: WireClient, path: str = "/") -> Answer:
    return await client.ask(method="GET", path=path)


async def until_gone(receive: Messages, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def head(status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": []}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def hello(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
    await send(head())
    await send(body(b"hello"))


class Slow:
    """An application that takes `seconds` for its answer, and notes when it was cancelled."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begun = trio.Event()
        self.cancelled_at: float | None = None

    async def __call__(self, _scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send(head())
        await send(body(b"one ", more=True))
        self.begun.set()
        try:
            await trio.sleep(self._seconds)
        except trio.Cancelled:
            self.cancelled_at = trio.current_time()
            raise
        await send(body(b"two"))


class Flood:
    """An application that sends without end until its client is gone."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.gone_at: float | None = None

    async def __call__(self, _scope: dict[str, Any], receive: Messages, send: Send) -> None:
        await send(head())
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(until_gone, receive, nursery.cancel_scope)
                while True:
                    await send(body(bytes(64 * 1024), more=True))
                    self.sent_bytes += 64 * 1024
        finally:
            self.gone_at = trio.current_time()


async def deaf_client(served: Served) -> trio.SocketStream:
    """A client that asks and then reads nothing."""
    stream = await served.connect(receive_buffer_bytes=4096)
    await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    return stream

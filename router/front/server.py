"""The accept loop, and what a server owes its clients beyond HTTP: write deadlines and a graceful end.

Each accepted connection has a task. HTTP/1.1 is served by our own connection (`router.front.http1`), over
TLS as well; what turns out to be HTTP/2 or WebSocket is handed to hypercorn, and so is everything where
the operator wants that (`docs/decisions/0017`).

Graceful end: stop accepting, close idle connections, wait for the busy ones up to a limit.
"""

import ssl
from collections.abc import Callable, Sequence

import trio
from hypercorn.typing import ASGIFramework

from router.config import ServerConfig
from router.front.deadline import WriteDeadlineStream
from router.front.http1.connection import Http1Connection, Plane, Shared
from router.front.http1.date import DateHeader
from router.front.http1.idle import IdleConnections
from router.front.http1.leaving import HAS_EPOLL, LeaveWatch
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.message import Http1Parser
from router.front.http1.wire import PlainWire, TlsWire
from router.front.hypercorn_connection import HypercornServer
from router.netpoll import Netpoll, PolledSocket

Tls = trio.SSLStream[WriteDeadlineStream]


class Server:
    """Serves one ASGI application on some listeners; over HTTP/1.1 `plane` goes before it.

    `connections` counts those that are open.
    """

    def __init__(
        self,
        app: ASGIFramework,
        config: ServerConfig,
        listeners: Sequence[trio.SocketListener],
        *,
        plane: Plane | None = None,
        ssl_context: ssl.SSLContext | None = None,
        parser: Callable[[], Http1Parser] = LlhttpParser,
        netpoll: Netpoll | None = None,
    ) -> None:
        self._config = config
        self._listeners = listeners
        self._ssl_context = ssl_context
        self._netpoll = netpoll
        self._hypercorn = HypercornServer(app, config)
        self._lean = (
            Shared(
                app=app,
                plane=plane,
                parser=parser,
                idle=IdleConnections(config.keep_alive_seconds),
                watch=LeaveWatch(),
                date=DateHeader(),
                closing=lambda: self._stopping,
            )
            if config.http1 == "lean" and HAS_EPOLL
            else None
        )
        self._accepting = trio.CancelScope()
        self._connections = trio.CancelScope()
        self._stopping = False
        self.connections = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` and until the last connection has ended. Cancellation drops all of them."""
        with self._connections:
            async with trio.open_nursery() as watching:
                if self._lean is not None:
                    watching.start_soon(self._lean.idle.run)
                    watching.start_soon(self._lean.watch.run)
                async with trio.open_nursery() as connections:
                    with self._accepting:
                        await trio.serve_listeners(
                            self._serve_connection,
                            list(self._listeners),
                            handler_nursery=connections,
                            task_status=_Started(task_status),
                        )
                watching.cancel_scope.cancel()

    async def stop(self, *, drain_seconds: float) -> None:
        """Stop accepting; connections end with their request, and after `drain_seconds` at the latest."""
        self._stopping = True
        self._accepting.cancel()
        if self._lean is not None:
            self._lean.idle.close_all()
        await self._hypercorn.stop()
        self._connections.deadline = trio.current_time() + drain_seconds

    async def _serve_connection(self, socket_stream: trio.SocketStream) -> None:
        stream = WriteDeadlineStream(socket_stream, seconds=self._config.write_seconds)
        tls = None
        if self._ssl_context is not None:
            tls = trio.SSLStream(stream, self._ssl_context, server_side=True, https_compatible=True)
        self.connections += 1
        try:
            if self._lean is None:
                await self._hypercorn.serve(stream, tls)
            elif tls is None or await _has_shaken_hands(tls, self._lean.idle):
                await self._serve_http1(self._lean, stream, tls)
        finally:
            self.connections -= 1
            stream.abort()

    async def _serve_http1(
        self, lean: Shared, stream: WriteDeadlineStream, tls: Tls | None
    ) -> None:
        connected = PolledSocket(stream.socket, self._netpoll)
        wire = (
            TlsWire(tls)
            if tls is not None
            else PlainWire(connected, write_seconds=self._config.write_seconds)
        )
        scheme = "http" if tls is None else "https"
        try:
            read = await Http1Connection(lean, wire, connected, scheme=scheme).run()
        except OSError:  # it was gone before it was served, and has no address any more
            return
        finally:
            connected.let_go()
        if read is not None:
            await self._hypercorn.serve(stream, tls, read)


async def _has_shaken_hands(tls: Tls, idle: IdleConnections) -> bool:
    """Agree on keys with the client, within the time that a head may take."""
    connected = tls.transport_stream.socket
    idle.add(connected, is_fresh=True)
    try:
        await tls.do_handshake()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return False
    finally:
        idle.discard(connected)
    return True


class _Started:
    """`trio.serve_listeners` reports its listeners; our callers only want to know that it listens."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status

    def started(self, _listeners: object = None) -> None:
        self._task_status.started()


def server_ssl_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return the context for serving TLS. Raises `OSError`, `ssl.SSLError`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context

"""The accept loop, and what a server owes its clients beyond HTTP: write deadlines and a graceful end.

Each accepted connection has a task. HTTP/1.1 is served by our own connection (`router.front.http1`), over
TLS as well, and so is HTTP/2 (`router.front.http2`), which a client asks for in TLS or begins with. What
turns out to be WebSocket is handed to hypercorn, and HTTP/1.1 too where the operator wants that
(`docs/decisions/0017`, `0020`). A fault in one connection is logged and ends that connection alone.

Graceful end: stop accepting, close idle connections, wait for the busy ones up to a limit.
"""

import logging
import ssl
from collections.abc import Callable, Sequence

import trio
from hypercorn.typing import ASGIFramework

from router.config import ServerConfig
from router.front.deadline import WriteDeadlineStream
from router.front.http1.asgi_calls import Ends
from router.front.http1.connection import Http1Connection, Plane, Shared
from router.front.http1.date import DateHeader
from router.front.http1.head import HTTP2_PREFACE
from router.front.http1.idle import IdleConnections
from router.front.http1.leaving import LeaveWatch
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.message import Http1Parser
from router.front.http1.usual import UsualHeads
from router.front.http1.wire import Connected, PlainWire, TlsWire, Wire
from router.front.http2.server import Http2Server
from router.front.hypercorn_connection import HypercornServer
from router.netpoll import HAS_EPOLL, Netpoll, PolledSocket

Tls = trio.SSLStream[WriteDeadlineStream]


class Server:
    """Serves one ASGI application on some listeners; over HTTP/1.1 `plane` goes before it.

    `connections` counts those that are open.
    """

    def __init__(  # noqa: PLR0913 - what all connections are served with comes in here
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
        self._http2 = Http2Server(app, config)
        self._idle = IdleConnections(config.keep_alive_seconds)
        self._heads = UsualHeads(DateHeader().now)
        self._lean = (
            Shared(
                app=app,
                plane=plane,
                parser=parser,
                idle=self._idle,
                watch=LeaveWatch(),
                heads=self._heads,
            )
            if config.http1 == "lean" and HAS_EPOLL
            else None
        )
        self._accepting = trio.CancelScope()
        self._connections = trio.CancelScope()
        self.connections = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` and until the last connection has ended. Cancellation drops all of them."""
        with self._connections:
            async with trio.open_nursery() as watching:
                watching.start_soon(self._idle.run)
                watching.start_soon(self._http2.run)
                if self._lean is not None:
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
        self._heads.closing = True
        self._accepting.cancel()
        self._idle.close_all()
        self._http2.stop(drain_seconds=drain_seconds)
        await self._hypercorn.stop()
        self._connections.deadline = trio.current_time() + drain_seconds

    async def _serve_connection(self, socket_stream: trio.SocketStream) -> None:
        stream = WriteDeadlineStream(socket_stream, seconds=self._config.write_seconds)
        connected = PolledSocket(stream.socket, self._netpoll)
        tls = None
        if self._ssl_context is not None:
            tls = trio.SSLStream(stream, self._ssl_context, server_side=True, https_compatible=True)
        self.connections += 1
        try:
            if tls is not None and not await _has_shaken_hands(tls, self._idle):
                return
            ends = _ends_of(stream, tls)
            wire = self._wire_on(connected, tls)
            has_chosen_http2 = tls is not None and tls.selected_alpn_protocol() == "h2"
            if has_chosen_http2:
                read = b""
            elif self._lean is not None:
                read = await Http1Connection(self._lean, wire, connected, ends).run()
            else:
                read = await _opening(wire, connected, self._idle)
            if has_chosen_http2 or read.startswith(HTTP2_PREFACE):
                if self._config.http2:
                    await self._http2.serve(wire, ends, read)
            elif read:
                connected.let_go()
                await self._hypercorn.serve(stream, tls, read)
        except OSError:  # it was gone before it was served, and has no address any more
            return
        except Exception:
            logging.getLogger(__name__).exception("a connection failed")
        finally:
            self.connections -= 1
            connected.let_go()
            stream.abort()

    def _wire_on(self, connected: PolledSocket, tls: Tls | None) -> Wire:
        if tls is not None:
            return TlsWire(tls)
        return PlainWire(connected, write_seconds=self._config.write_seconds)


def _ends_of(stream: WriteDeadlineStream, tls: Tls | None) -> Ends:
    """Return both ends of a connection. Raises `OSError` if it is gone already."""
    scheme = "http" if tls is None else "https"
    return Ends(scheme, stream.socket.getpeername()[:2], stream.socket.getsockname()[:2])


async def _opening(wire: Wire, connected: Connected, idle: IdleConnections) -> bytes:
    """Return as much of what a client sends first as tells whether that is HTTP/2's preface."""
    read = b""
    idle.add(connected, is_fresh=True)
    try:
        while HTTP2_PREFACE.startswith(read) and len(read) < len(HTTP2_PREFACE):
            data = await wire.receive()
            if not data:
                break
            read += data
    finally:
        idle.discard(connected)
    return read


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


def server_ssl_context(certificate: str, key: str, *, http2: bool = True) -> ssl.SSLContext:
    """Return the context for serving TLS, with HTTP/2 offered or not. Raises `OSError`, `ssl.SSLError`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.options |= ssl.OP_NO_RENEGOTIATION  # as HTTP/2 demands (RFC 9113, section 9.2.1)
    context.set_alpn_protocols(["h2", "http/1.1"] if http2 else ["http/1.1"])
    return context

"""The accept loop, and what a server owes its clients beyond HTTP: write deadlines and a graceful end.

hypercorn speaks the protocols; its connection class is started here, one per accepted connection, on a
stream of ours. That is because hypercorn sends under a shield without a deadline: a client that stops
reading could never be dropped, and a shutdown would wait for it for ever (`docs/decisions/0004`).

Graceful end: stop accepting, let idle connections close, wait for the busy ones up to a limit.
"""

import logging
import ssl
from collections.abc import Sequence
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Event, RawData, Updated
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from router.config import ServerConfig
from router.front.deadline import WriteDeadlineStream

_MAX_HEAD_BYTES = 64 * 1024
_UNLIMITED_REQUESTS = 2**62


class Server:
    """Serves one ASGI application on some listeners.

    `connections` counts those that are open.
    """

    def __init__(
        self,
        app: ASGIFramework,
        config: ServerConfig,
        listeners: Sequence[trio.SocketListener],
        *,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._app = ASGIWrapper(app)
        self._config = config
        self._listeners = listeners
        self._ssl_context = ssl_context
        self._hypercorn = _hypercorn_config(config)
        self._context = WorkerContext(None)
        self._accepting = trio.CancelScope()
        self._connections = trio.CancelScope()
        self._stopping = False
        self.connections = 0

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` and until the last connection has ended. Cancellation drops all of them."""
        with self._connections:
            async with trio.open_nursery() as connections:
                with self._accepting:
                    await trio.serve_listeners(
                        self._serve_connection,
                        list(self._listeners),
                        handler_nursery=connections,
                        task_status=_Started(task_status),
                    )

    async def stop(self, *, drain_seconds: float) -> None:
        """Stop accepting; connections end with their request, and after `drain_seconds` at the latest."""
        self._accepting.cancel()
        await self._context.terminated.set()
        self._connections.deadline = trio.current_time() + drain_seconds

    async def _serve_connection(self, socket_stream: trio.SocketStream) -> None:
        stream = WriteDeadlineStream(socket_stream, seconds=self._config.write_seconds)
        state = ConnectionState({"abort_connection": stream.abort})
        served: Any = stream
        if self._ssl_context is not None:
            served = trio.SSLStream(
                stream, self._ssl_context, server_side=True, https_compatible=True
            )
        self.connections += 1
        try:
            connection = _Connection(self._app, self._hypercorn, self._context, state, served)
            connection.plain = stream if self._ssl_context is None else None
            await connection.run()
        finally:
            self.connections -= 1
            stream.abort()


class _Connection(TCPServer):
    """hypercorn's connection, with two changes.

    It ends as soon as its client has gone and its request is over; by itself it would wait out the idle
    time first, holding the socket of a client that left long ago. And what the socket takes at once is
    written at once: a lock, a shield and a deadline are for those who wait.
    """

    plain: WriteDeadlineStream | None = None  # the stream, where no TLS lies between
    _client_gone = False

    async def _read_data(self) -> None:
        await super()._read_data()
        self._client_gone = True
        await self.idle_task.stop()

    async def protocol_send(self, event: Event) -> None:
        """Carry out what the protocol wants, but for waiting on a client that has gone."""
        if isinstance(event, RawData) and self.plain is not None:
            event = self._written(event, self.plain)
            if not event.data:
                return
        if not (self._client_gone and isinstance(event, Updated) and event.idle):
            await super().protocol_send(event)

    def _written(self, event: RawData, stream: WriteDeadlineStream) -> RawData:
        """Write what can be written at once, unless somebody waits to write; return the rest."""
        if self.send_lock.locked():
            return event
        taken = stream.write_now(event.data)
        return RawData(event.data[taken:]) if taken else event


class _Started:
    """`trio.serve_listeners` reports its listeners; our callers only want to know that it listens."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status

    def started(self, _listeners: object = None) -> None:
        self._task_status.started()


def _hypercorn_config(config: ServerConfig) -> HypercornConfig:
    settings = HypercornConfig()
    settings.alpn_protocols = ["http/1.1"]
    settings.accesslog = None
    settings.errorlog = logging.getLogger("hypercorn.error")
    settings.include_server_header = False
    settings.keep_alive_timeout = config.keep_alive_seconds
    settings.keep_alive_max_requests = _UNLIMITED_REQUESTS
    settings.h11_max_incomplete_size = _MAX_HEAD_BYTES
    return settings


async def open_listeners(bind: Sequence[str]) -> list[trio.SocketListener]:
    """Open one or more listeners for each `host:port`. Raises `OSError` with the address in its text."""
    listeners: list[trio.SocketListener] = []
    for address in bind:
        host, _, port = address.rpartition(":")
        try:
            listeners += await trio.open_tcp_listeners(
                int(port), host=host.strip("[]") or None, backlog=4096
            )
        except OSError as error:
            for listener in listeners:
                await listener.aclose()
            raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from error
    return listeners


def server_ssl_context(certificate: str, key: str) -> ssl.SSLContext:
    """Return the context for serving TLS. Raises `OSError`, `ssl.SSLError`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["http/1.1"])
    return context

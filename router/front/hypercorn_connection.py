"""hypercorn's connection: what serves WebSocket, and HTTP/1.1 where the operator wants it.

Its connection class is started here, on a stream of ours, because hypercorn sends under a shield without a
deadline: a client that stops reading could never be dropped (`docs/decisions/0004`). A connection that
began as HTTP/1.1 is handed over with the bytes that were read already. HTTP/2 is not left to it
(`docs/decisions/0020`): an upgrade to that is ignored, as a server may, and answered in HTTP/1.1.
"""

import logging
from typing import Any

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ASGIFramework, ConnectionState

from router.config import ServerConfig
from router.front.deadline import WriteDeadlineStream
from router.front.http1.head import MAX_HEAD_BYTES

_UNLIMITED_REQUESTS = 2**62


class HypercornServer:
    """Serves one application on connections it is given."""

    def __init__(self, app: ASGIFramework, config: ServerConfig) -> None:
        self._app = ASGIWrapper(app)
        self._config = _hypercorn_config(config)
        self._context = WorkerContext(None)

    async def stop(self) -> None:
        """Let connections end: idle ones at once, the others after their requests."""
        await self._context.terminated.set()

    async def serve(
        self,
        stream: WriteDeadlineStream,
        tls: trio.SSLStream[WriteDeadlineStream] | None,
        read: bytes = b"",
    ) -> None:
        """Serve a connection to its end; `read` is what was read from it already."""
        served: Any = stream if tls is None else tls
        state = ConnectionState({})
        connection = _Connection(self._app, self._config, self._context, state, served)
        connection.plain = stream if tls is None else None
        connection.read_before = read
        await connection.run()


class _Connection(TCPServer):
    """hypercorn's connection, with four changes.

    It speaks HTTP/1.1 and WebSocket only. It begins with what was read before. It ends as soon as its
    client has gone and its request is over; by itself it would wait out the idle time first, holding the
    socket of a client that left long ago. And what the socket takes at once is written at once: a lock, a
    shield and a deadline are for those who wait.
    """

    plain: WriteDeadlineStream | None = None  # the stream, where no TLS lies between
    read_before = b""
    _client_gone = False

    async def _read_data(self) -> None:
        made = self.protocol
        made.protocol = _Http1Protocol(
            made.app,
            made.config,
            made.context,
            made.task_group,
            made.state,
            made.ssl,
            made.client,
            made.server,
            made.send,
        )
        if self.read_before:
            await self.protocol.handle(RawData(self.read_before))
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


class _Http1Protocol(H11Protocol):
    """hypercorn's HTTP/1.1, which goes over to HTTP/2 for nobody."""

    async def _check_protocol(self, event: h11.Request) -> None:
        pass


def _hypercorn_config(config: ServerConfig) -> HypercornConfig:
    settings = HypercornConfig()
    settings.alpn_protocols = ["http/1.1"]
    settings.accesslog = None
    settings.errorlog = logging.getLogger("hypercorn.error")
    settings.include_server_header = False
    settings.keep_alive_timeout = config.keep_alive_seconds
    settings.keep_alive_max_requests = _UNLIMITED_REQUESTS
    settings.h11_max_incomplete_size = MAX_HEAD_BYTES
    return settings

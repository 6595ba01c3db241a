"""hypercorn's connection: what serves HTTP/2 and WebSocket, and HTTP/1.1 where the operator wants it.

Its connection class is started here, on a stream of ours, because hypercorn sends under a shield without a
deadline: a client that stops reading could never be dropped (`docs/decisions/0004`). A connection that
began as HTTP/1.1 is handed over with the bytes that were read already.
"""

import logging
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
        if read:
            served = Replayed(served, read)
        state = ConnectionState({"abort_connection": stream.abort})
        connection = _Connection(self._app, self._config, self._context, state, served)
        connection.plain = stream if tls is None else None
        await connection.run()


class Replayed:
    """A stream that was read from: it gives those bytes first, and is the stream in all else."""

    def __init__(self, stream: Any, read: bytes) -> None:  # noqa: ANN401 - plain and TLS streams differ
        self._stream = stream
        self._read = read

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Return the next bytes, empty at the end."""
        if not self._read:
            data: bytes | bytearray = await self._stream.receive_some(max_bytes)
            return data
        await trio.lowlevel.checkpoint()
        piece, self._read = self._read[:max_bytes], self._read[max_bytes or len(self._read) :]
        return piece

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)


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

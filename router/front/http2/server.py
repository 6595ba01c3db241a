"""All HTTP/2 connections of a server, so that they can be told of its end."""

import math

import trio
from hypercorn.typing import ASGIFramework

from router.config import ServerConfig
from router.front.http1.asgi_calls import Ends
from router.front.http1.date import DateHeader
from router.front.http1.wire import Wire
from router.front.http2.connection import Http2Connection, Shared


class Http2Server:
    """Serves one application on connections it is given."""

    def __init__(self, app: ASGIFramework, config: ServerConfig) -> None:
        self._shared = Shared(app, DateHeader(), config.keep_alive_seconds, config.write_seconds)
        self._connections: set[Http2Connection] = set()
        self._ending = trio.Event()
        self._tell_at = math.inf

    async def run(self) -> None:
        """Tell connections that are never idle of the end, when half of the time for it is over."""
        await self._ending.wait()
        await trio.sleep_until(self._tell_at)
        for connection in self._connections:
            connection.ask_no_more()

    async def serve(self, wire: Wire, ends: Ends, read: bytes) -> None:
        """Serve a connection to its end; `read` is what was read from it already."""
        connection = Http2Connection(self._shared, wire, ends)
        if self._ending.is_set():
            connection.end()
        self._connections.add(connection)
        try:
            await connection.run(read)
        finally:
            self._connections.discard(connection)

    def stop(self, *, drain_seconds: float) -> None:
        """Let connections end: idle ones at once, the others after their requests."""
        self._tell_at = trio.current_time() + drain_seconds / 2
        self._ending.set()
        for connection in self._connections:
            connection.end()

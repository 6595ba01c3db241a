"""A client's socket as a connection uses it: waited for only where there is something to wait for.

trio's streams try to read before they wait, in vain on a connection that is mostly silent; here the wait
comes first. Writing is the other way round: what the socket takes at once is written at once, without a
checkpoint, and what it does not take is kept for `flush`, where the client's patience is ours: one that
takes nothing for `write_seconds` is dropped. A cancelled `flush` has lost nothing.
"""

import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import trio

from router.front.deadline import WriteDeadlineStream, reset
from router.netpoll import GATHERED_BYTES, READ_BYTES, PolledSocket, UnwrittenError

LINGER_SECONDS: Final = 2.0
# What reading raises when nothing more will come, whatever the reason.
GONE: Final = (OSError, trio.BrokenResourceError, trio.ClosedResourceError)


class Connected(Protocol):
    """A client's socket, or what stands for it."""

    def fileno(self) -> int:
        """Its number, -1 once it is closed."""

    def close(self) -> None:
        """Close at once; whoever waits on it is told."""


class Wire(Protocol):
    """One client's connection, as bytes."""

    is_plain: bool

    def read(self) -> Awaitable[bytes]:
        """Wait for the next bytes; empty at the end. Raises `GONE`, and `UnwrittenError` to be flushed."""

    async def receive(self) -> bytes:
        """The next bytes, empty once nothing more will come, whatever the reason."""

    def write_now(self, data: bytes) -> bool:
        """Write what goes out at once and keep the rest; tell whether nothing was kept."""

    def write_soon(self, data: bytes) -> bool:
        """Write as `write_now` does, or as well: as soon as this pass of trio's loop is over."""

    async def flush(self) -> None:
        """Write out what was kept. Raises `trio.BrokenResourceError`, also at the write limit."""

    def abort(self) -> None:
        """Reset the connection at once."""

    async def close(self, *, linger: bool) -> None:
        """Say that nothing more will come, and close once the client can have read what came.

        `linger` says that the client may still be sending.
        """


class PlainWire:
    """A bare TCP connection."""

    __slots__ = ("_kept", "_polled", "_socket", "_write_seconds", "read")

    is_plain = True

    def __init__(self, connected: PolledSocket, *, write_seconds: float) -> None:
        self._polled = connected
        self._socket = connected.socket
        self._write_seconds = write_seconds
        self._kept = bytearray()
        self.read: Callable[[], Awaitable[bytes]] = connected.read

    async def receive(self) -> bytes:
        """The next bytes, empty once nothing more will come, whatever the reason."""
        while True:
            try:
                try:
                    return await self._polled.read()
                except UnwrittenError:
                    await self.flush()
            except GONE:
                return b""

    def write_soon(self, data: bytes) -> bool:
        """Write as `write_now` does, or, if it is short, as soon as this pass of trio's loop is over.

        What does not go out then is kept, and `read` asks for it to be flushed.
        """
        polled = self._polled
        if self._kept or polled.unwritten or len(data) > GATHERED_BYTES:
            return self.write_now(data)
        if polled.write_soon(data):
            return True
        self._kept += polled.take_back()
        return False

    def write_now(self, data: bytes) -> bool:
        """Write what goes out at once and keep the rest; tell whether nothing was kept."""
        if self._polled.unwritten:
            self._kept += self._polled.take_back()
        written = 0
        if not self._kept:
            written = self._polled.write_now(data)  # of what is broken, `flush` says so
            if written == len(data):
                return True
        self._kept += memoryview(data)[written:]
        return False

    async def flush(self) -> None:
        """Write out what was kept. Raises `trio.BrokenResourceError`, also at the write limit."""
        if self._polled.unwritten:
            self._kept += self._polled.take_back()
        try:
            while self._kept:
                if self._socket.fileno() < 0:
                    raise trio.ClosedResourceError  # noqa: TRY301 - told as all other breaks are
                with trio.fail_after(self._write_seconds):
                    await trio.lowlevel.wait_writable(self._socket)
                with contextlib.suppress(BlockingIOError):
                    del self._kept[: os.write(self._socket.fileno(), self._kept)]
        except (OSError, trio.ClosedResourceError, trio.TooSlowError) as error:
            self._kept.clear()
            self.abort()
            raise trio.BrokenResourceError("the client has gone or stopped reading") from error

    def abort(self) -> None:
        """Reset the connection at once."""
        self._polled.write_unwritten()
        self._polled.let_go()
        reset(self._socket)
        self._polled.close()

    async def close(self, *, linger: bool) -> None:
        """Say that nothing more will come, and close once the client can have read what came.

        A close while input is unread makes the system reset the connection, and what was written last
        might never be read.
        """
        with contextlib.suppress(trio.BrokenResourceError):
            await self.flush()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            with trio.move_on_after(LINGER_SECONDS):
                while (linger or self._has_input()) and await self.receive():
                    linger = True
        self._polled.close()

    def _has_input(self) -> bool:
        try:
            return bool(self._polled.read_now())
        except (OSError, trio.ClosedResourceError):
            return False


class TlsWire:
    """TLS over a stream whose writes have a deadline."""

    is_plain = False

    def __init__(self, tls: trio.SSLStream[WriteDeadlineStream]) -> None:
        self._tls = tls
        self._kept = bytearray()

    async def read(self) -> bytes:
        """Wait for the next bytes; empty at the end. Raises `GONE`."""
        return bytes(await self._tls.receive_some(READ_BYTES))

    async def receive(self) -> bytes:
        """The next bytes, empty once nothing more will come, whatever the reason."""
        try:
            return await self.read()
        except GONE:
            return b""

    def write_now(self, data: bytes) -> bool:
        """Keep the data, since encrypting it into the socket may have to wait."""
        self._kept += data
        return not self._kept

    write_soon = write_now

    async def flush(self) -> None:
        """Write out what was kept. Raises `trio.BrokenResourceError`, also at the write limit."""
        if not self._kept:
            return
        data, self._kept = self._kept, bytearray()
        try:
            await self._tls.send_all(data)
        except trio.ClosedResourceError as error:
            raise trio.BrokenResourceError("the connection was closed") from error

    def abort(self) -> None:
        """Reset the connection at once."""
        self._tls.transport_stream.abort()

    async def close(self, *, linger: bool) -> None:
        """Close, once the client can have read what came; HTTPS does without an end of its own."""
        with trio.move_on_after(LINGER_SECONDS):
            while linger and await self.receive():
                pass
            await self._tls.aclose()
        self._tls.transport_stream.socket.close()

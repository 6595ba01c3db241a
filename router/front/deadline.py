"""A stream that drops a peer which stops reading.

Every piece written has its own deadline, so a slow client may take as long as it likes for a large answer,
while one that takes nothing for `seconds` is dropped. The deadline lies inside `send_all`, where a caller's
shield cannot keep it out. Pieces are small enough that the progress of a slow reader counts.
"""

import os
import socket
import struct
from typing import Final

import trio

_PIECE_BYTES: Final = 64 * 1024
_LINGER_OFF: Final = struct.pack("ii", 1, 0)


class WriteDeadlineStream(trio.abc.HalfCloseableStream):
    """A socket stream whose writes must make progress within `seconds`.

    A write that does not raises `trio.BrokenResourceError`, after the connection has been reset.
    """

    __slots__ = ("_seconds", "_stream", "socket")

    def __init__(self, stream: trio.SocketStream, *, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self.socket = stream.socket

    def write_now(self, data: bytes | bytearray | memoryview) -> int:
        """Hand over as much as the socket takes at once, without waiting; return how many bytes that is.

        Most events fit. A broken connection takes nothing here; `send_all` then says so.
        """
        try:
            return os.write(self.socket.fileno(), data)
        except OSError:  # it would block, or it is broken or closed
            return 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all, piece by piece. Cancellation leaves an unknown part sent, as for any stream."""
        with memoryview(data) as whole:
            for start in range(0, len(whole), _PIECE_BYTES):
                try:
                    with trio.fail_after(self._seconds):
                        await self._stream.send_all(whole[start : start + _PIECE_BYTES])
                except trio.TooSlowError:
                    self.abort()
                    raise trio.BrokenResourceError("the client stopped reading") from None

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a write may go through at once."""
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Return the next bytes, empty at the end."""
        return await self._stream.receive_some(max_bytes)

    async def send_eof(self) -> None:
        """Say that nothing more will be written."""
        await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    def abort(self) -> None:
        """Reset the connection at once, synchronously. What was not sent yet is lost. Idempotent."""
        reset(self.socket)


def reset(connected: trio.socket.SocketType) -> None:
    """Close a socket at once with a reset; again is harmless."""
    if connected.fileno() < 0:
        return
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_OFF)
    connected.close()

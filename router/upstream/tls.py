"""TLS to an origin, with nothing in it that waits but the socket itself.

trio's own TLS stream can only be awaited. The relay pump looks after many connections from one task and may
wait for none of them, so here `ssl.SSLObject` works between two buffers in memory: what came from the socket
goes into one, what is to go out is taken from the other, and reading is a plain function, `read_now`.

TLS has things to say of its own while one only reads, such as the answer to a change of keys. They go out as
far as the socket takes them at once, and with the next write otherwise. A connection that ends without a
goodbye has ended, as HTTP permits: the length of every answer is known from HTTP itself.
"""

import ssl
from collections.abc import Mapping
from typing import Final

import trio

from router.netpoll import READ_BYTES, PolledSocket

_RECORD_BYTES: Final = 16 * 1024  # the most that one record of TLS holds
_MOST_UNSENT_BYTES: Final = 64 * 1024  # of what TLS says by itself to an origin that reads nothing


class TlsStream(trio.abc.Stream):
    """The client's end of TLS over a socket. Owns the transport; `do_handshake` must come first.

    `polled` is the socket, whose readability says that `read_now` may have something.

    Whoever opens it refuses renegotiation (`ssl.OP_NO_RENEGOTIATION`), so that a write never has to read.
    After a write that failed or was cancelled only closing is left.
    """

    def __init__(
        self, transport: trio.SocketStream, context: ssl.SSLContext, *, server_hostname: str
    ) -> None:
        self.transport_stream = transport
        self.polled = PolledSocket(transport.socket)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_hostname
        )
        self._unsent = b""
        self._is_sending = False
        self._is_broken = False
        self._has_ended = False
        self._failure: ssl.SSLError | None = None

    def selected_alpn_protocol(self) -> str | None:
        """Return the protocol that both sides agreed on, if they spoke of it."""
        return self._tls.selected_alpn_protocol()

    def getpeercert(self) -> Mapping[str, object] | None:
        """Return the origin's certificate, once the handshake is over."""
        return self._tls.getpeercert()

    async def do_handshake(self) -> None:
        """Agree on keys. Raises OSError, which `ssl.SSLError` is one of, or trio.BrokenResourceError."""
        while not self._has_shaken_hands():
            await self._flush()
            self._take_in(await self.polled.read())
        await self._flush()

    def read_now(self) -> bytes | None:
        """Return what has come, `b""` at the end, `None` if nothing has.

        It is all that has come, up to one read of the socket: nothing that is ready stays behind in here,
        where no poll would tell of it. Raises OSError.
        """
        data = self._decrypt(READ_BYTES + _RECORD_BYTES)
        if data is None and (ciphertext := self.polled.read_now()) is not None:
            self._take_in(ciphertext)
            data = self._decrypt(READ_BYTES + _RECORD_BYTES)
        return data

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next bytes, `b""` at the end. Cancelled, it has lost nothing."""
        self._check_open()
        if self._is_at_hand():
            await trio.lowlevel.checkpoint()
        try:
            while (data := self._decrypt(max_bytes or READ_BYTES)) is None:
                self._take_in(await self.polled.read())
        except OSError as error:
            raise trio.BrokenResourceError from error
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt all of it and send it. Cancelled, an unknown part of it has gone out."""
        self._check_open()
        if self._is_broken:
            raise trio.BrokenResourceError("an earlier write did not come to its end")
        rest = memoryview(data)
        if not rest:
            await trio.lowlevel.checkpoint()
        try:
            while rest:
                rest = rest[self._tls.write(rest) :]
        except ssl.SSLError as error:
            raise trio.BrokenResourceError from error
        await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until a write may go through at once."""
        await self.transport_stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close, without a goodbye."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Close at once; again is harmless."""
        self.polled.close()

    def _has_shaken_hands(self) -> bool:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _check_open(self) -> None:
        if self.polled.fileno() < 0:
            raise trio.ClosedResourceError("this connection was closed")

    def _is_at_hand(self) -> bool:
        """Whether there may be something to decrypt, or the end to be told."""
        return bool(
            self._incoming.pending
            or self._has_ended
            or self._failure is not None
            or self._incoming.eof
            or self._tls.pending()
        )

    def _decrypt(self, most: int) -> bytes | None:
        """Return what whole records hold of the bytes at hand, `b""` at the end, `None` if there is none."""
        pieces: list[bytes] = []
        while most > 0 and self._is_at_hand():
            piece = self._next_record(min(most, _RECORD_BYTES))
            if not piece:
                break
            pieces.append(piece)
            most -= len(piece)
        if self._outgoing.pending:
            self._flush_now()
        if pieces:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if self._failure is not None:
            raise self._failure
        return b"" if self._has_ended else None

    def _next_record(self, most: int) -> bytes:
        """Return what one record holds, empty where none can be read; notes the end and any failure."""
        if self._has_ended or self._failure is not None:
            return b""
        try:
            data = self._tls.read(most)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLEOFError:
            self._has_ended = True
        except ssl.SSLError as error:
            self._failure = error
        else:
            self._has_ended = not data  # a goodbye
            return data
        return b""

    def _take_in(self, ciphertext: bytes) -> None:
        """Take what was read from the socket; empty is its end."""
        if ciphertext:
            self._incoming.write(ciphertext)
        else:
            self._incoming.write_eof()

    def _take_unsent(self) -> bytes:
        unsent, self._unsent = self._unsent + self._outgoing.read(), b""
        return unsent

    async def _flush(self) -> None:
        """Send all that is to go out, also what a reader adds meanwhile."""
        self._is_sending = self._is_broken = True
        try:
            while unsent := self._take_unsent():
                await self.transport_stream.send_all(unsent)
            self._is_broken = False
        finally:
            self._is_sending = False

    def _flush_now(self) -> None:
        """Send what TLS says by itself, as far as it goes out at once. Raises OSError if it says too much."""
        if self._is_sending:
            return  # the one who sends takes it along
        self._unsent = self._take_unsent()
        sent = self.polled.write_now(self._unsent)  # of what is broken, reading will tell
        self._unsent = self._unsent[sent:]
        if len(self._unsent) > _MOST_UNSENT_BYTES:
            raise OSError("the origin asks for answers and takes none")

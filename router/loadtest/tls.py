"""TLS over any wire, by memory BIOs: the pump reads the socket, and knows nothing of it.

Records are decrypted where bytes are taken, so a stream over TLS costs no task and no copy of its own.
"""

import ssl
from typing import Final

from router.loadtest.wire import Take, Wire

_READ_BYTES: Final = 65_536


async def tls_wire(plain: Wire, context: ssl.SSLContext, host: str) -> Wire:
    """Shake hands over a wire. Raises ssl.SSLError (an OSError) when the peer cannot be trusted.

    The plain wire is closed when it fails or is cancelled.
    """
    wire = _TlsWire(plain, context, host)
    try:
        await wire.shake_hands()
    except BaseException:
        plain.close()
        raise
    return wire


class _TlsWire:
    """A wire with TLS on it. Its end is told by the connection's or by the peer's farewell."""

    def __init__(self, plain: Wire, context: ssl.SSLContext, host: str) -> None:
        self._plain = plain
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)

    async def shake_hands(self) -> None:
        """Exchange messages until both sides are content."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._plain.receive(self._feed)
            else:
                await self._flush()
                return

    async def send(self, data: bytes) -> None:
        """Send everything."""
        self._tls.write(data)
        await self._flush()

    async def receive(self, take: Take) -> None:
        """Read until `take` says that it has all."""

        def decrypt(data: bytes) -> bool:
            self._feed(data)
            while (text := self._read()) is not None:
                if take(text):
                    return True
                if not text:
                    raise ConnectionResetError("the peer has ended TLS")
            return False

        await self._plain.receive(decrypt)

    def close(self) -> None:
        """Close at once, without a farewell."""
        self._plain.close()

    def _feed(self, data: bytes) -> bool:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()
        return True

    def _read(self) -> bytes | None:
        """Return the next plain bytes, `b""` at the end, None when more has to come first."""
        try:
            return self._tls.read(_READ_BYTES)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._plain.send(self._outgoing.read())

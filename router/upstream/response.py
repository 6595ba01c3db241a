"""A response whose head has arrived and whose body is read as the caller wants it."""

import zlib

import trio

from router.upstream.connection import HttpConnection
from router.upstream.decoding import Inflater, choose_decoder
from router.upstream.errors import AnswerTooLarge, UpstreamCut, UpstreamProtocolError
from router.upstream.lending import Lease
from router.upstream.message import ResponseHead


class UpstreamResponse:
    """Holds a connection until `discard`, which every receiver of a response must call.

    Header names are lower-case; when the body is decoded here, the headers that described its
    encoded form are gone. `reused` tells whether the connection had served another request before.
    """

    __slots__ = ("_decoder", "_lease", "headers", "reused", "status")

    def __init__(self, lease: Lease, head: ResponseHead) -> None:
        self.status = head.status
        self.reused = lease.reused
        self._lease = lease
        self._decoder, self.headers = choose_decoder(head)

    async def receive_body(self) -> bytes:
        """The next piece of the decoded body, as soon as there is one; b"" at its clean end.

        Raises UpstreamCut, UpstreamProtocolError, or trio.ClosedResourceError after `discard`.
        After an error the response has been discarded. Cancelled, it has lost nothing and can be
        read on: that is how a caller gives up waiting for a while.
        """
        if self._lease.has_ended:
            raise trio.ClosedResourceError("this response has been discarded")
        try:
            if self._decoder is None:
                return await self._lease.connection.receive_body()
            return await self._receive_decoded(self._decoder)
        except Exception:
            self.discard()
            raise

    def fileno(self) -> int | None:
        """The socket to poll for what `connection` has; None where the body can only be waited for.

        That holds for a body that is decoded here: it may unfold into more than one should do at once.
        """
        if self._decoder is not None or self._lease.has_ended:
            return None
        return self._lease.connection.fileno()

    @property
    def connection(self) -> HttpConnection:
        """What the body can be read from without waiting, while `fileno` is not None.

        `discard` is left to the caller where that raises: it may have to stop polling before.
        """
        return self._lease.connection

    async def read(self, max_bytes: int) -> bytes:
        """The rest of the body in one piece; raises AnswerTooLarge, or like `receive_body`.

        What has been read already is taken without a checkpoint. After an error, or when cancelled, the
        response has been discarded.
        """
        connection = self._lease.connection
        plain = self._decoder is None and not self._lease.has_ended
        receive = connection.receive_body if plain else self.receive_body
        pieces: list[bytes] = []
        room = max_bytes
        try:
            while True:
                piece = connection.at_hand() if plain else None
                if piece is None:
                    piece = await receive()
                if not piece:
                    break
                room -= len(piece)
                if room < 0:
                    raise AnswerTooLarge(connection.origin, max_bytes=max_bytes)  # noqa: TRY301 - as others
                pieces.append(piece)
        except BaseException:
            self.discard()
            raise
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def discard(self) -> None:
        """Let go of the connection: kept when the response was read to its end, else closed.

        Synchronous, and harmless when called again.
        """
        self._lease.end()

    async def _receive_decoded(self, decoder: Inflater) -> bytes:
        origin = self._lease.connection.origin
        # Decoding what is at hand can go on for long without waiting for anything.
        await trio.lowlevel.checkpoint()
        try:
            while not (piece := decoder.next_piece()):
                encoded = await self._lease.connection.receive_body()
                if not encoded:
                    decoder.finish()
                    return b""
                decoder.receive_data(encoded)
        except EOFError:
            raise UpstreamCut(origin, response_started=True) from None
        except zlib.error:
            raise UpstreamProtocolError(origin, "body is not in its announced encoding") from None
        return piece

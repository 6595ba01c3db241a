"""One request's hold on a connection, and the response that comes on it, read as the caller wants it.

It is there before the response is: from the moment a connection is lent, this is what gives it back.
"""

import zlib

import trio

from router.upstream.connection import HttpConnection
from router.upstream.decoding import Inflater, choose_decoder
from router.upstream.errors import AnswerTooLarge, UpstreamCut, UpstreamProtocolError
from router.upstream.lending import Lender
from router.upstream.message import ResponseHead


class UpstreamResponse:
    """Holds a connection until `discard`, which every receiver of a response must call.

    Header names are lower-case; when the body is decoded here, the headers that described its encoded form
    are gone. `status` is 0 until the head has come. `reused` tells whether the connection had served another
    request before. `connection` is what the body can be read from without waiting, while `fileno` is not
    None; `discard` is left to the caller where that raises, who may have to stop polling before.
    """

    __slots__ = (
        "_decoder",
        "_has_ended",
        "_lender",
        "connection",
        "headers",
        "reused",
        "status",
    )

    def __init__(self, lender: Lender, connection: HttpConnection) -> None:
        self._lender = lender
        self._has_ended = False  # the connection was given back
        self._decoder: Inflater | None = None
        self.connection = connection
        self.reused = connection.has_served
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []

    async def renew(self) -> None:
        """Exchange the connection for a fresh one; if that fails or is cancelled, nothing is held."""
        self._has_ended = True
        self.connection = await self._lender.exchange_for_new(self.connection)
        self._has_ended = False
        self.reused = False

    def begin(self, head: ResponseHead) -> None:
        """Take the head, which has come."""
        self.status = head.status
        if b"content-encoding" in head.named:
            self._decoder, self.headers = choose_decoder(head)
        else:
            self.headers = head.headers

    async def receive_body(self) -> bytes:
        """The next piece of the decoded body, as soon as there is one; b"" at its clean end.

        Raises UpstreamCut, UpstreamProtocolError, or trio.ClosedResourceError after `discard`.
        After an error the response has been discarded. Cancelled, it has lost nothing and can be
        read on: that is how a caller gives up waiting for a while.
        """
        if self._has_ended:
            raise trio.ClosedResourceError("this response has been discarded")
        try:
            if self._decoder is None:
                return await self.connection.receive_body()
            return await self._receive_decoded(self._decoder)
        except Exception:
            self.discard()
            raise

    def fileno(self) -> int | None:
        """The socket to poll for what `connection` has; None where the body can only be waited for.

        That holds for a body that is decoded here: it may unfold into more than one should do at once.
        """
        if self._decoder is not None or self._has_ended:
            return None
        return self.connection.fileno()

    async def read(self, max_bytes: int) -> bytes:
        """The rest of the body in one piece; raises AnswerTooLarge, or like `receive_body`.

        A body that is all there already is taken without a checkpoint. After an error, or when cancelled,
        the response has been discarded.
        """
        try:
            is_plain = self._decoder is None and not self._has_ended
            body = self.connection.whole_at_hand() if is_plain else None
            if body is None:
                return await self._read_pieces(max_bytes)
            if len(body) > max_bytes:
                raise AnswerTooLarge(self.connection.origin, max_bytes=max_bytes)  # noqa: TRY301 - as others
        except BaseException:
            self.discard()
            raise
        return body

    def interrupt(self) -> None:
        """Close the connection under who waits for it, unless it was given back already.

        Whoever waits gets trio.ClosedResourceError, now or with the next wait.
        """
        if not self._has_ended:
            self.connection.close()

    def discard(self) -> None:
        """Let go of the connection: kept when the response was read to its end, else closed.

        Synchronous, and harmless when called again.
        """
        if not self._has_ended:
            self._has_ended = True
            self._lender.take_back(self.connection)

    async def _read_pieces(self, max_bytes: int) -> bytes:
        pieces: list[bytes] = []
        room = max_bytes
        while piece := await self.receive_body():
            room -= len(piece)
            if room < 0:
                raise AnswerTooLarge(self.connection.origin, max_bytes=max_bytes)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _receive_decoded(self, decoder: Inflater) -> bytes:
        connection = self.connection
        # Decoding what is at hand can go on for long without waiting for anything.
        await trio.lowlevel.checkpoint()
        try:
            while not (piece := decoder.next_piece()):
                encoded = await connection.receive_body()
                if not encoded:
                    decoder.finish()
                    return b""
                decoder.receive_data(encoded)
        except EOFError:
            raise UpstreamCut(connection.origin, response_started=True) from None
        except zlib.error:
            raise UpstreamProtocolError(
                connection.origin, "body is not in its announced encoding"
            ) from None
        return piece

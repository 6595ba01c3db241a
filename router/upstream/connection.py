"""One HTTP/1.1 connection: moves bytes between a trio stream and the parser.

A small request goes out in a single write, at once where the socket takes it. A large one is written
while the connection listens, because an origin may refuse it half-way (413, 401) and stop reading.
An answer of 400 or above ends the upload, once what it says has been read as well: a TLS stream
whose write was interrupted cannot be read any more. A broken write by itself is no error: what is
left to read decides. Only a refusal is believed then, since a success would speak of a request the
origin never saw whole.

Body bytes are read only when asked for, at most 64 KiB at a time, so an origin that sends faster
than the caller reads is held back by TCP. Whoever watches many bodies at once can poll for one
(`fileno`), read from it without waiting (`source`), and let the `parser` have what came.
"""

from collections.abc import Iterable, Iterator

import trio

from router.netpoll import READ_BYTES, Netpoll, PolledSocket
from router.upstream.closing import close_now
from router.upstream.errors import UpstreamCut, UpstreamTransportError
from router.upstream.fast_http1 import FastHttp1Client
from router.upstream.message import OutgoingRequest, ResponseHead
from router.upstream.origin import Origin
from router.upstream.tls import TlsStream

_SINGLE_WRITE_BYTES = 64 * 1024
# TLS encrypts a whole write into memory before sending any of it.
_SLICE_BYTES = 256 * 1024
_REFUSAL_BYTES = 64 * 1024


class HttpConnection:
    """A connection to one origin, used by one request at a time.

    After an exception, or when `send` was cancelled, only `close` may follow.
    """

    __slots__ = (
        "_http",
        "_is_closed",
        "_is_writing",
        "_plain",
        "_polled",
        "_read_ahead",
        "_response_started",
        "_stream",
        "_tls",
        "_write_was_cut",
        "origin",
    )

    def __init__(
        self, stream: trio.abc.Stream, origin: Origin, netpoll: Netpoll | None = None
    ) -> None:
        self.origin = origin
        self._stream = stream
        self._plain = PolledSocket(stream.socket) if isinstance(stream, trio.SocketStream) else None
        self._tls = stream if isinstance(stream, TlsStream) else None
        self._polled = self._plain if self._tls is None else self._tls.polled
        if self._polled is not None:
            self._polled.join(netpoll)
        self._http = FastHttp1Client(origin)
        self._response_started = False
        self._is_closed = False
        self._is_writing = False
        self._write_was_cut = False
        # The body of a refusal that was read before its head was handed out: a few pieces, once in a while.
        self._read_ahead: list[bytes | UpstreamTransportError] = []

    async def send(self, request: OutgoingRequest) -> ResponseHead:
        """Send the request and wait for the head of its response.

        Raises UpstreamCut, UpstreamProtocolError, or ValueError for a head that is not HTTP.
        """
        self._response_started = False
        pieces = self._http.encode_request(request)
        if sum(map(len, pieces)) > _SINGLE_WRITE_BYTES:
            head = await self._send_while_listening(pieces)
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
            data = b"".join(pieces)
            # What does not go out at once, trio's write waits for; or it finds out that all is broken.
            sent = self._plain.write_now(data) if self._plain is not None else 0
            if sent < len(data):
                await self._write([memoryview(data)[sent:]])
            # As `_receive_head` does: this is the wait that every request has, with nothing between.
            while (answer := self._http.next_head()) is None:
                await self._receive()
            head = answer
        if self._write_was_cut and not _is_refusal(head):
            raise UpstreamCut(self.origin, response_started=True)
        return head

    async def receive_body(self) -> bytes:
        """The next bytes of the body, b"" once it has ended. Raises like `send`.

        Cancelled, it has lost nothing and may be called again.
        """
        # Before anything is taken from the parser: what was taken, a cancellation would lose.
        await trio.lowlevel.checkpoint_if_cancelled()
        while (piece := self.at_hand()) is None:
            await self._receive()
        return piece

    def fileno(self) -> int | None:
        """The socket that shows when `source` has something; None where one can only wait.

        Whoever asks watches it from now on, and nobody else does.
        """
        if self._polled is None or self._read_ahead:
            return None
        self._polled.let_go()
        return self._polled.fileno()

    @property
    def source(self) -> PolledSocket | TlsStream:
        """What can be read from without waiting, where `fileno` is not None."""
        source = self._plain or self._tls
        assert source is not None  # noqa: S101 - the caller has asked `fileno`
        return source

    @property
    def parser(self) -> FastHttp1Client:
        """What makes a body of the bytes that were read from `source`."""
        return self._http

    def at_hand(self) -> bytes | None:
        """What of the body has been read already, b"" if that is its end, None if it is nothing.

        Raises like `send`.
        """
        if self._read_ahead:
            ahead = self._read_ahead.pop(0)
            if isinstance(ahead, UpstreamTransportError):
                raise ahead
            return ahead
        return self._http.next_body()

    def start_next_cycle(self) -> bool:
        """Make ready for another request; tells whether one may follow, the answer being read to its end."""
        if self._is_closed or not self._http.is_reusable:
            return False
        self._http.start_next_cycle()
        return True

    def has_gone_stale(self) -> bool:
        """Tell whether an idle connection was closed, or spoken on unasked, by the origin.

        A stream that is no socket cannot be asked and counts as quiet.
        """
        return self._polled is not None and self._polled.has_input()

    def close(self) -> None:
        """Close at once; again is harmless. Who waits for it gets trio.ClosedResourceError."""
        self._is_closed = True
        if self._polled is not None:
            self._polled.close()
        close_now(self._stream)

    async def _send_while_listening(self, pieces: list[bytes]) -> ResponseHead:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, _slices(pieces))
            # Carried out of the nursery by hand: raised inside, it would come out in a group.
            outcome = await self._receive_answer_to_upload()
            if isinstance(outcome, Exception) or _is_refusal(outcome):
                nursery.cancel_scope.cancel()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def _receive_answer_to_upload(
        self,
    ) -> ResponseHead | UpstreamTransportError | trio.ClosedResourceError:
        try:
            head = await self._receive_head()
        except (UpstreamTransportError, trio.ClosedResourceError) as error:
            return error
        if _is_refusal(head) and self._is_writing:
            await self._receive_refusal()
        return head

    async def _receive_refusal(self) -> None:
        ahead: list[bytes] = []
        try:
            while sum(map(len, ahead)) < _REFUSAL_BYTES and (piece := await self.receive_body()):
                ahead.append(piece)
        except UpstreamTransportError as error:
            self._read_ahead.extend([*ahead, error])
        else:
            self._read_ahead.extend(ahead)

    async def _write(self, pieces: Iterable[bytes | memoryview]) -> None:
        self._is_writing = True
        self._write_was_cut = True
        try:
            for piece in pieces:
                await self._stream.send_all(piece)
            self._write_was_cut = False
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return  # reading tells
        finally:
            self._is_writing = False
            if self._write_was_cut:
                self._http.abandon_request()

    async def _receive_head(self) -> ResponseHead:
        while (head := self._http.next_head()) is None:
            await self._receive()
        return head

    async def _receive(self) -> None:
        """Wait for what comes next, and let the parser have it. Raises UpstreamCut."""
        try:
            if self._plain is not None:
                data = await self._plain.read()
            else:
                data = bytes(await self._stream.receive_some(READ_BYTES))
        except (trio.BrokenResourceError, OSError) as error:
            raise UpstreamCut(self.origin, response_started=self._response_started) from error
        if not data and not self._response_started:
            raise UpstreamCut(self.origin, response_started=False)
        self._response_started = True
        self._http.receive_data(data)


def _is_refusal(head: ResponseHead) -> bool:
    return head.status >= 400


def _slices(pieces: Iterable[bytes]) -> Iterator[memoryview]:
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), _SLICE_BYTES):
            yield view[start : start + _SLICE_BYTES]

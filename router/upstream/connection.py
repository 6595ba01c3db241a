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

from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, TypeVar

import trio

from router.netpoll import GATHERED_BYTES, READ_BYTES, Netpoll, PolledSocket, UnwrittenError
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

T = TypeVar("T")


class HttpConnection:
    """A connection to one origin, used by one request at a time; `has_served`: by one before.

    `parser` makes a body of the bytes that were read from `source`. After an exception, or when `send` was
    cancelled, only `close` may follow.
    """

    __slots__ = (
        "_is_closed",
        "_is_writing",
        "_plain",
        "_polled",
        "_read_ahead",
        "_response_started",
        "_stream",
        "_tls",
        "_write_was_cut",
        "has_served",
        "origin",
        "parser",
    )

    def __init__(
        self, stream: trio.abc.Stream, origin: Origin, netpoll: Netpoll | None = None
    ) -> None:
        self.origin = origin
        self.parser = FastHttp1Client(origin)
        self.has_served = False
        self._stream = stream
        self._plain = PolledSocket(stream.socket) if isinstance(stream, trio.SocketStream) else None
        self._tls = stream if isinstance(stream, TlsStream) else None
        self._polled = self._plain if self._tls is None else self._tls.polled
        if self._polled is not None:
            self._polled.join(netpoll)
        self._response_started = False
        self._is_closed = False
        self._is_writing = False
        self._write_was_cut = False
        # The body of a refusal that was read before its head was handed out: a few pieces, once in a while.
        self._read_ahead: list[bytes | UpstreamTransportError] = []

    def send(self, request: OutgoingRequest) -> Coroutine[Any, Any, ResponseHead]:
        """Send the request; what this returns waits for the head of its response.

        What goes out at once, or soon with what others write, is on its way before that. Raises ValueError
        for a head that is not HTTP, and while it waits UpstreamCut, UpstreamProtocolError.
        """
        self._response_started = False
        head = self.parser.encode_head(request)
        if len(head) + len(request.body) > _SINGLE_WRITE_BYTES:
            return self._send_while_listening([head, request.body])
        data = head + request.body
        if self._plain is not None and len(data) <= GATHERED_BYTES and not request.is_urgent:
            if self._plain.write_soon(data):
                return self._receive(self._next_head)
            return self._send_rest(self._plain.take_back())
        sent = self._plain.write_now(data) if self._plain is not None else 0
        if sent < len(data):
            return self._send_rest(data[sent:])
        return self._receive(self.parser.next_head)

    async def receive_body(self) -> bytes:
        """The next bytes of the body, b"" once it has ended. Raises like `send`.

        Cancelled, it has lost nothing and may be called again.
        """
        # Before anything is taken from the parser: what was taken, a cancellation would lose.
        await trio.lowlevel.checkpoint_if_cancelled()
        piece = self.at_hand()
        return piece if piece is not None else await self._receive(self.at_hand)

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

    def at_hand(self) -> bytes | None:
        """What of the body has been read already, b"" if that is its end, None if it is nothing.

        Raises like `send`.
        """
        if self._read_ahead:
            ahead = self._read_ahead.pop(0)
            if isinstance(ahead, UpstreamTransportError):
                raise ahead
            return ahead
        return self.parser.next_body()

    def whole_at_hand(self) -> bytes | None:
        """The whole body, if it has been read to its end already; else None, and nothing was taken."""
        return None if self._read_ahead else self.parser.whole_body()

    def start_next_cycle(self) -> bool:
        """Make ready for another request; tells whether one may follow, the answer being read to its end."""
        self.has_served = True
        return not self._is_closed and self.parser.start_next_cycle()

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

    async def _send_rest(self, data: bytes) -> ResponseHead:
        """Send what did not go out at once: trio's write waits, or finds out that all is broken."""
        await self._write([data])
        return self._not_cut_short(await self._receive(self.parser.next_head))

    def _next_head(self) -> ResponseHead | None:
        """Return the head of an answer, once it is there, to a request that was to go out soon."""
        head = self.parser.next_head()
        if head is None:
            return None
        if self._plain is not None and self._plain.unwritten:
            self._plain.take_back()
            self._write_was_cut = True
            self.parser.abandon_request()
        return self._not_cut_short(head)

    async def _write_unwritten(self) -> None:
        """Write what did not go out with what others wrote; if it cannot be, what is read will tell."""
        assert self._plain is not None  # noqa: S101 - nothing else writes soon
        await self._write([self._plain.take_back()])

    async def _send_while_listening(self, pieces: list[bytes]) -> ResponseHead:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, _slices(pieces))
            # Carried out of the nursery by hand: raised inside, it would come out in a group.
            outcome = await self._receive_answer_to_upload()
            if isinstance(outcome, Exception) or _is_refusal(outcome):
                nursery.cancel_scope.cancel()
        if isinstance(outcome, Exception):
            raise outcome
        return self._not_cut_short(outcome)

    def _not_cut_short(self, head: ResponseHead) -> ResponseHead:
        """Return the head of an answer, if it can be believed: the request was written, or is refused."""
        if self._write_was_cut and not _is_refusal(head):
            raise UpstreamCut(self.origin, response_started=True)
        return head

    async def _receive_answer_to_upload(
        self,
    ) -> ResponseHead | UpstreamTransportError | trio.ClosedResourceError:
        try:
            head = await self._receive(self.parser.next_head)
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
                self.parser.abandon_request()

    async def _receive(self, take: Callable[[], T | None]) -> T:
        """Let the parser have what comes, until there is something to take from it. Raises UpstreamCut."""
        while True:
            try:
                if self._plain is not None:
                    data = await self._plain.read()
                else:
                    data = bytes(await self._stream.receive_some(READ_BYTES))
            except UnwrittenError:
                await self._write_unwritten()
                continue
            except (trio.BrokenResourceError, OSError) as error:
                raise UpstreamCut(self.origin, response_started=self._response_started) from error
            if not data and not self._response_started:
                raise UpstreamCut(self.origin, response_started=False)
            self._response_started = True
            self.parser.receive_data(data)
            if (taken := take()) is not None:
                return taken


def _is_refusal(head: ResponseHead) -> bool:
    return head.status >= 400


def _slices(pieces: Iterable[bytes]) -> Iterator[memoryview]:
    for piece in pieces:
        view = memoryview(piece)
        for start in range(0, len(view), _SLICE_BYTES):
            yield view[start : start + _SLICE_BYTES]

"""The client side of HTTP/1.1 on one connection, as bytes in and bytes out.

Its public methods are the seam to the parser: `connection` uses nothing else. On h11, as here, they are the
reference. `fast_http1` offers the same in a fraction of the time, and is what connections use; the tests hold
it against this one.

A cut has to be told from nonsense, because the first is the origin's bad luck and the second its
fault. Everything received is parsed before more is read, so a complaint of the parser right after
the end of the stream is about that end, and any other is about the bytes.
"""

import h11

from router.upstream.errors import UpstreamCut, UpstreamProtocolError, UpstreamTransportError
from router.upstream.message import OutgoingRequest, ResponseHead, by_name, complete_headers
from router.upstream.origin import Origin

_MAX_HEAD_BYTES = 64 * 1024


class Http1Client:
    """Requests and responses of one connection, one after another."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD_BYTES)
        self._failure: UpstreamTransportError | None = None
        self._at_eof = False

    def encode_head(self, request: OutgoingRequest) -> bytes:
        """The head to send; the body goes behind it as it is.

        Raises ValueError when the head is not valid HTTP. The message does not show the offending
        value, which may be a key with a stray newline.
        """
        try:
            headers = complete_headers(request, self._origin.authority)
            event = h11.Request(method=request.method, target=request.target, headers=headers)
            head = self._h11.send(event)
            if request.body:
                self._h11.send_with_data_passthrough(h11.Data(data=request.body))
            self._h11.send(h11.EndOfMessage())
        except h11.LocalProtocolError:
            raise ValueError(
                "method, target or headers of the request are not valid HTTP"
            ) from None
        return bytes(head or b"")

    def abandon_request(self) -> None:
        """Take note that not all of the request was sent, so no other can follow."""
        self._h11.send_failed()

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take in what was read; empty means the end of the stream."""
        self._at_eof = not data
        self._h11.receive_data(bytes(data))

    def next_head(self) -> ResponseHead | None:
        """The final response's head, or None when more data is needed; 1xx are passed over.

        Raises UpstreamProtocolError, or UpstreamCut after the end of the stream.
        """
        while True:
            event = self._next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Response):
                headers = list(event.headers)
                return ResponseHead(event.status_code, headers, by_name(headers))
            if not isinstance(event, h11.InformationalResponse):
                raise self._unexpected()

    def next_body(self) -> bytes | None:
        """All body bytes at hand in one piece; b"" at the end, None when more data is needed.

        Raises UpstreamProtocolError, or UpstreamCut after the end of the stream.
        """
        pieces: list[bytes] = []
        while not self._response_ended:
            try:
                event = self._next_event()
            except UpstreamTransportError:
                if pieces:
                    break  # these came in good order; the next call raises the same error
                raise
            if event is h11.NEED_DATA:
                break
            if isinstance(event, h11.Data):
                pieces.append(event.data)
            elif not isinstance(event, h11.EndOfMessage):
                raise self._unexpected()
        if pieces:
            return b"".join(pieces)
        return b"" if self._response_ended else None

    @property
    def is_reusable(self) -> bool:
        """Whether both sides finished, neither wants to close, and nothing unasked has arrived."""
        finished = self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE
        return finished and self._h11.trailing_data == (b"", False)

    def start_next_cycle(self) -> bool:
        """Make ready for another request on the same connection; tells whether it is reusable."""
        if not self.is_reusable:
            return False
        self._h11.start_next_cycle()
        return True

    @property
    def _response_ended(self) -> bool:
        return self._h11.their_state in {h11.DONE, h11.MUST_CLOSE, h11.CLOSED}

    def _next_event(self) -> object:
        if self._failure is not None:
            raise self._failure
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            if self._at_eof:
                self._failure = UpstreamCut(self._origin, response_started=True)
            else:
                # What follows the colon in h11's messages quotes the bytes received.
                reason = str(error).partition(":")[0]
                self._failure = UpstreamProtocolError(self._origin, f"not valid HTTP ({reason})")
        raise self._failure

    def _unexpected(self) -> UpstreamProtocolError:
        return UpstreamProtocolError(self._origin, "switched protocols without being asked")

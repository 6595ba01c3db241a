"""The parser that the other one is held against: h11, which is slower, older in use and easier to read.

Heads pass the same first checks and are judged by the same rules; how lines become headers, how a body
lies in the bytes and how an answer is framed is h11's own. It serves as well as the other, and the tests
of the connection can be run on it.
"""

import h11

from router.errors import MalformedRequest
from router.front.http1.head import HTTP2_PREFACE, MAX_HEAD_BYTES, find_head, read_request_line
from router.front.http1.lines import FRAMING
from router.front.http1.message import Headers, RequestHead
from router.front.http1.rules import judge
from router.front.http1.usual import Usual


class H11Parser:
    """`Http1Parser` on h11."""

    def __init__(self) -> None:
        self._data = b""  # received before the head was whole
        self._head = b""
        self._has_head = False
        self._h11 = _new_connection()

    def receive_data(self, data: bytes) -> None:
        """Take in what was read."""
        if self._has_head:
            self._h11.receive_data(data)
        else:
            self._data += data

    def next_head(self) -> RequestHead | None:
        """The next request's head, or `None` when more data is needed."""
        end = find_head(self._data)
        if not end:
            return None
        self._head, self._data = self._data[:end], self._data[end:]
        if self._head == HTTP2_PREFACE:
            return RequestHead("PRI", b"*", "2.0", [], switch_to="h2")
        line = read_request_line(self._head)
        self._h11.receive_data(self._head)
        event = self._next_event()
        if not isinstance(event, h11.Request):
            raise MalformedRequest("The request's headers are not valid HTTP/1.1.")
        head = judge(line, list(event.headers))
        self.answer = H11Answer(self._h11, head)
        if head.body_bytes == 0:
            self._next_event()
        self._has_head = True
        if self._data:
            self._h11.receive_data(self._data)
            self._data = b""
        return head

    def next_body(self) -> bytes | None:
        """All body bytes at hand in one piece; b"" at the end, `None` when more data is needed."""
        pieces: list[bytes] = []
        while not self.request_ended and (event := self._next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
        if pieces:
            return b"".join(pieces)
        return b"" if self.request_ended else None

    @property
    def request_ended(self) -> bool:
        """Whether the request was read to its end."""
        return self._h11.their_state not in {h11.IDLE, h11.SEND_BODY, h11.ERROR}

    @property
    def unread(self) -> bytes:
        """What was received and not yet told of."""
        return self._h11.trailing_data[0] + self._data

    def taken_back(self) -> bytes:
        """The bytes of the present head and all that follows."""
        return self._head + self.unread

    def start_next_cycle(self) -> bool:
        """Make ready for another request; `False` where none may follow, or this one has not ended."""
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return False
        self._data = self.unread
        self._has_head = False
        self._h11 = _new_connection()
        del self.answer
        return True

    def _next_event(self) -> object:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise MalformedRequest("The request is not valid HTTP/1.1.") from error


class H11Answer:
    """`AnswerBytes` on h11."""

    def __init__(self, connection: h11.Connection, request: RequestHead) -> None:
        self._h11 = connection
        self._request = request
        self._has_body = True
        self.ends_by_closing = False

    def head(self, status: int, headers: Headers, *, close: bool) -> bytes:
        """The head of the answer. Raises `ValueError` for what is not valid HTTP."""
        more = [(b"connection", b"close")] if close else []
        self._has_body = status not in {204, 304} and self._request.method != "HEAD"
        self.ends_by_closing = self._has_body and self._lacks_an_end(headers)
        try:
            return self._h11.send(h11.Response(status_code=status, headers=[*headers, *more]))
        except h11.LocalProtocolError as error:
            raise ValueError("the answer's headers are not valid HTTP") from error

    def whole(self, usual: Usual, headers: Headers, body: bytes, *, close: bool) -> bytes:
        """Head, body and end of an answer. Raises `ValueError` for what is not valid HTTP."""
        told = [one for one in usual.headers if one[0].lower() not in FRAMING]
        length = [] if usual.status == 204 else [(b"content-length", b"%d" % len(body))]
        head = self.head(usual.status, [*told, *headers, *length], close=close)
        return head + self.body(body) + self.end()

    def body(self, data: bytes) -> bytes:
        """A piece of the answer's body. Raises `ValueError` beyond its content-length."""
        if not self._has_body:
            return b""
        try:
            return self._h11.send(h11.Data(data=data))
        except h11.LocalProtocolError as error:
            raise ValueError("the answer's body is longer than its content-length") from error

    def end(self) -> bytes:
        """The end of the answer. Raises `ValueError` short of its content-length."""
        try:
            return self._h11.send(h11.EndOfMessage())
        except h11.LocalProtocolError as error:
            raise ValueError("the answer's body is shorter than its content-length") from error

    def _lacks_an_end(self, headers: Headers) -> bool:
        old = self._request.http_version == "1.0"
        return old and all(name != b"content-length" for name, _ in headers)


def _new_connection() -> h11.Connection:
    return h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)

"""The parser that serves: llhttp, in C, reads the headers; what they mean is judged here.

Each head goes to a parser of its own, whole and after its bytes were checked, so that no state of llhttp's
outlives a request and nothing it reads ahead can be lost. Bodies never reach it: it would take the framing
of a message from headers that we judge more strictly than it does.
"""

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from router.errors import MalformedRequest
from router.front.http1.answer import Answer
from router.front.http1.framing import Body, body_of
from router.front.http1.head import HTTP2_PREFACE, find_head, read_request_line
from router.front.http1.last_head import LastHead
from router.front.http1.message import RequestHead
from router.front.http1.rules import judge


class LlhttpParser:
    """`Http1Parser` on httptools."""

    __slots__ = ("_body", "_body_bytes", "_head", "_last", "answer", "request_ended", "unread")

    def __init__(self) -> None:
        self.unread = b""  # received and not yet told of
        self._head = b""
        self._last: LastHead | None = None
        self._body_bytes: int | None = 0
        self._body: Body | None = None  # where it does not lie there in one piece
        self.request_ended = False

    def receive_data(self, data: bytes) -> None:
        """Take in what was read."""
        self.unread = self.unread + data if self.unread else data

    def next_head(self) -> RequestHead | None:
        """The next request's head, or `None` when more data is needed."""
        data = self.unread
        if not data:
            return None
        known = self._last.again(data) if self._last is not None else None
        head, end = known or self._read_head(data)
        if head is None:
            return None
        self._head, self.unread = data[:end], data[end:]
        self._body_bytes = head.body_bytes
        self.request_ended = head.body_bytes == 0
        self.answer = Answer(head)
        return head

    def _read_head(self, data: bytes) -> tuple[RequestHead | None, int]:
        end = find_head(data)
        if not end:
            return None, 0
        raw = data[:end]
        if raw == HTTP2_PREFACE:
            return RequestHead("PRI", b"*", "2.0", [], switch_to="h2"), end
        head = judge(read_request_line(raw), _headers(raw))
        self._last = LastHead(raw, head)
        return head, end

    def next_body(self) -> bytes | None:
        """All body bytes at hand in one piece; b"" at the end, `None` when more data is needed."""
        if self.request_ended:
            return b""
        if not self._head:
            raise RuntimeError("there is no request")
        if self._body is None:
            length, data = self._body_bytes, self.unread
            if length is not None and len(data) >= length:
                self.request_ended = True
                self.unread = data[length:]
                return data[:length]
            self._body = body_of(length)
        piece, self.unread = self._body.take(self.unread)
        self.request_ended = self._body.ended
        return piece if piece or self.request_ended else None

    def taken_back(self) -> bytes:
        """The bytes of the present head and all that follows."""
        return self._head + self.unread

    def start_next_cycle(self) -> bool:
        """Make ready for another request; `False` where none may follow, or this one has not ended."""
        if not (self.request_ended and self.answer.ended) or self.answer.closes:
            return False
        self._head = b""
        self._body = None
        del self.answer
        self.request_ended = False
        return True


class _Lines:
    """Collects the headers that llhttp calls out."""

    def __init__(self) -> None:
        self.headers: list[tuple[bytes, bytes]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value.rstrip(b" \t")))


def _headers(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = _Lines()
    try:
        HttpRequestParser(lines).feed_data(head)
    except HttpParserUpgrade:
        pass  # it stops behind the head, where we do as well
    except HttpParserError as error:
        raise MalformedRequest("The request's headers are not valid HTTP/1.1.") from error
    return lines.headers

"""An answer as bytes, and what its end is: a length, a last chunk, or the end of the connection.

The framing headers are ours alone; an application's own are dropped. What an application gives is checked
in one pass over the finished head, so that no value can end its line and begin another.
"""

from http import HTTPStatus
from typing import Final

from router.front.http1.message import Headers, RequestHead

LAST_CHUNK: Final = b"0\r\n\r\n"

_PLAIN: Final = bytes(byte for byte in range(256) if byte not in {0, 10, 13})
_NAME: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus
}
_BODYLESS: Final = frozenset({204, 304})


class Answer:
    """The bytes of one answer. `closes` and `ended` tell where it has come to."""

    __slots__ = (
        "_bytes_left",
        "_is_chunked",
        "_is_head",
        "_may_chunk",
        "_without_body",
        "closes",
        "ended",
        "ends_by_closing",
    )

    def __init__(self, request: RequestHead) -> None:
        self._is_head = request.method == "HEAD"
        self._may_chunk = request.http_version == "1.1"
        self._is_chunked = False
        self._bytes_left: int | None = None  # of a body whose length was told
        self._without_body = False
        self.closes = not request.keep_alive
        self.ends_by_closing = False
        self.ended = False

    def head(self, status: int, headers: Headers, *, close: bool) -> bytes:
        """The status line and headers. Raises `ValueError` for what is not valid HTTP."""
        told, length = self._told(status, headers)
        self._without_body = self._is_head or status in _BODYLESS
        if length is not None:
            self._bytes_left = length
        elif status not in _BODYLESS:
            self._is_chunked = self._may_chunk
            self.ends_by_closing = not self._may_chunk and not self._is_head
            if self._is_chunked:
                told.append((b"transfer-encoding", b"chunked"))
        self.closes = self.closes or close or self.ends_by_closing
        if self.closes:
            told.append((b"connection", b"close"))
        first = _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status
        return _checked(first, told)

    def body(self, data: bytes) -> bytes:
        """A piece of the body. Raises `ValueError` beyond the length that was told."""
        if self._without_body or not data:
            return b""
        if self._is_chunked:
            return b"%x\r\n%b\r\n" % (len(data), data)
        if self._bytes_left is not None:
            self._bytes_left -= len(data)
            if self._bytes_left < 0:
                raise ValueError("the answer's body is longer than its content-length")
        return data

    def end(self) -> bytes:
        """What ends the body. Raises `ValueError` short of the length that was told."""
        if self._bytes_left and not self._without_body:
            raise ValueError("the answer's body is shorter than its content-length")
        self.ended = True
        return LAST_CHUNK if self._is_chunked and not self._without_body else b""

    def _told(self, status: int, headers: Headers) -> tuple[list[tuple[bytes, bytes]], int | None]:
        """Return the headers to send, and the length that they tell."""
        told = []
        length = None
        for name, value in headers:
            match name.lower():
                case b"content-length":
                    length = int(value)
                    if status == 204:
                        continue
                case b"transfer-encoding":
                    continue
                case b"connection":
                    self.closes = self.closes or b"close" in value.lower()
                    continue
            told.append((name, value))
        return told, length


def _checked(first: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
    lines = [first, *[b"%b: %b" % header for header in headers], b"", b""]
    head = b"\r\n".join(lines)
    names = b"".join([name for name, _ in headers])
    clean = len(head.translate(None, _PLAIN)) == 2 * (len(lines) - 1)
    if not clean or names.translate(None, _NAME) or not all(name for name, _ in headers):
        raise ValueError("the answer's headers are not valid HTTP")
    return head

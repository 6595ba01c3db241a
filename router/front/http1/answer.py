"""An answer as bytes, and what its end is: a length, a last chunk, or the end of the connection.

The framing headers are ours alone; an application's own are dropped. Names that the gateway itself writes are
known to be sound, any other is checked, and all values are in one pass over the finished head, so that none
can end its line and begin another.
"""

from http import HTTPStatus
from operator import itemgetter
from typing import Final

import msgspec

from router.front.http1.message import Headers, RequestHead

LAST_CHUNK: Final = b"0\r\n\r\n"

_PLAIN: Final = bytes(byte for byte in range(256) if byte not in {0, 10, 13})
_NAME: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus
}
BODYLESS: Final = frozenset({204, 304})
# What nearly every answer has: names that are sound, and say nothing of the answer's end.
_OUR_NAMES: Final = frozenset(
    {
        b"access-control-allow-origin",
        b"access-control-expose-headers",
        b"cache-control",
        b"content-type",
        b"date",
        b"request-id",
        b"vary",
        b"x-accel-buffering",
        b"x-ratelimit-limit-requests",
        b"x-ratelimit-limit-tokens",
        b"x-ratelimit-remaining-requests",
        b"x-ratelimit-remaining-tokens",
        b"x-ratelimit-reset-requests",
        b"x-ratelimit-reset-tokens",
        b"x-request-id",
        b"x-syze-attempts",
        b"x-syze-hedged",
        b"x-syze-provider",
    }
)

_name_of: Final = itemgetter(0)


class Answer(msgspec.Struct, eq=False):
    """The bytes of one answer. `closes` and `ended` tell where it has come to."""

    _request: RequestHead
    closes: bool = False
    ended: bool = False
    ends_by_closing: bool = False
    _is_chunked: bool = False
    _bytes_left: int | None = None
    """Of a body whose length was told."""
    _without_body: bool = False

    def head(
        self, status: int, headers: Headers, *, close: bool, length: int | None = None
    ) -> bytes:
        """The status line and headers. Raises `ValueError` for what is not valid HTTP.

        `length` is that of a body of which no header tells.
        """
        lines = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status]
        if _OUR_NAMES.issuperset(map(_name_of, headers)):
            lines += map(b": ".join, headers)
        else:
            lines += [b": ".join(one) for one in headers if self._is_told(*one, status)]
        if length is not None:
            self._bytes_left = length
            if status != 204:
                lines.append(b"content-length: %d" % length)
        is_head = self._request.method == "HEAD"
        self._without_body = is_head or status in BODYLESS
        if self._bytes_left is None and status not in BODYLESS:
            self._is_chunked = self._request.http_version == "1.1"
            self.ends_by_closing = not self._is_chunked and not is_head
            if self._is_chunked:
                lines.append(b"transfer-encoding: chunked")
        self.closes = self.closes or close or self.ends_by_closing or not self._request.keep_alive
        if self.closes:
            lines.append(b"connection: close")
        head = b"\r\n".join([*lines, b"", b""])
        if len(head.translate(None, _PLAIN)) != 2 * len(lines) + 2:
            raise _invalid()
        return head

    def whole(self, status: int, headers: Headers, body: bytes, *, close: bool) -> bytes:
        """Head, body and end, of which the headers need not tell. Raises `ValueError` as `head` does."""
        head = self.head(status, headers, close=close, length=len(body))
        self.ended = True
        return head if self._without_body else head + body

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

    def _is_told(self, name: bytes, value: bytes, status: int) -> bool:
        """Judge a header that may be anything: does it go out, and what does it say of the end?"""
        match name.lower():
            case b"content-length":
                self._bytes_left = int(value)
                return status != 204
            case b"transfer-encoding":
                return False
            case b"connection":
                self.closes = self.closes or b"close" in value.lower()
                return False
        if not name or name.translate(None, _NAME):
            raise _invalid()
        return True


def _invalid() -> ValueError:
    return ValueError("the answer's headers are not valid HTTP")

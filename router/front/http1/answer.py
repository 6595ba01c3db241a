"""An answer as bytes, and what its end is: a length, a last chunk, or the end of the connection.

The framing headers are ours alone; an application's own are dropped.
"""

from typing import Final

import msgspec

from router.front.http1.lines import FRAMING, header_lines, status_line
from router.front.http1.message import Headers, RequestHead
from router.front.http1.usual import Usual

LAST_CHUNK: Final = b"0\r\n\r\n"
BODYLESS: Final = frozenset({204, 304})


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

    def head(self, status: int, headers: Headers, *, close: bool) -> bytes:
        """The status line and headers. Raises `ValueError` for what is not valid HTTP."""
        told = [
            one for one in headers if one[0].lower() not in FRAMING or self._is_told(*one, status)
        ]
        lines = [status_line(status), *header_lines(told)]
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
        return b"\r\n".join([*lines, b"", b""])

    def whole(self, usual: Usual, headers: Headers, body: bytes, *, close: bool) -> bytes:
        """A whole answer that begins as usual and has these headers besides, none of which tells of its end.

        Raises `ValueError` for what is not valid HTTP.
        """
        request, status = self._request, usual.status
        lines = [usual.lines, *header_lines(headers)]
        if status != 204:
            lines.append(b"content-length: %d" % len(body))
        self.closes = close or not request.keep_alive
        if self.closes:
            lines.append(b"connection: close")
        self.ended = True
        without_body = status in BODYLESS or request.method == "HEAD"
        return b"\r\n".join([*lines, b"", b"" if without_body else body])

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
        """Take in a header that tells of framing; does it go out?"""
        match name.lower():
            case b"content-length":
                self._bytes_left = int(value)
                return status != 204
            case b"connection":
                self.closes = self.closes or b"close" in value.lower()
        return False

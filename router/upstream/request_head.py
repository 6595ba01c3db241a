"""The head of a request as bytes, made without a parser's state machine.

Next to everything in the head stays the same from one request of an endpoint to the next. So the last such
block is kept, with what it was made from; what one request alone carries, its length above all, is put
behind it. All of it is checked for what could end a line early: a key with a stray newline must not become
a header of its own.

The grammar is that of RFC 9110 (5.1, 5.5) and RFC 9112 (3), read as strictly as h11 reads it.
"""

import re
from collections.abc import Iterable
from typing import Final

from router.upstream.message import (
    Headers,
    OutgoingRequest,
    content_length,
    kept,
    shared_headers,
)

_TOKEN: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_TARGET: Final = re.compile(rb"[!-~]+")
# Words with blanks and tabs between them only; bytes above 127 are taken as they are.
_VALUE: Final = re.compile(rb"(?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?")


class RequestHeads:
    """Writes the heads of one connection's requests. `authority` is the value of their Host header.

    `asks_to_close`: whether the last one written asks the origin to close the connection after it.
    """

    __slots__ = ("_authority", "_block", "_made_from", "asks_to_close")

    def __init__(self, authority: str) -> None:
        self._authority = authority
        self._made_from: tuple[bytes, bytes, Headers] | None = None
        self._block = b""
        self.asks_to_close = False

    def encode(self, request: OutgoingRequest) -> bytes:
        """Return the head. Raises ValueError where it is not valid HTTP, and does not show what it is."""
        made_from = (request.method, request.target, request.headers)
        if made_from != self._made_from or not isinstance(request.headers, tuple):
            self._make(request)
            self._made_from = made_from
        head = self._block
        if request.own_headers:
            head += _lines(kept(request.own_headers))
        length = content_length(request)
        if length is None:
            return head + b"\r\n"
        return b"%bcontent-length: %d\r\n\r\n" % (head, length)

    def _make(self, request: OutgoingRequest) -> None:
        if not (_TOKEN.fullmatch(request.method) and _TARGET.fullmatch(request.target)):
            raise _not_http()
        headers = shared_headers(request, self._authority)
        self._block = b"%b %b HTTP/1.1\r\n%b" % (request.method, request.target, _lines(headers))
        self.asks_to_close = wants_close(headers)


def wants_close(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether headers with names in lower case end the connection (RFC 9112, 9.6)."""
    return any(
        option.strip() == b"close"
        for name, value in headers
        if name == b"connection"
        for option in value.lower().split(b",")
    )


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
            raise _not_http()
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _not_http() -> ValueError:
    return ValueError("method, target or headers of the request are not valid HTTP")

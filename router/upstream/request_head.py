"""The head of a request as bytes, made without a parser's state machine.

Next to everything in the head stays the same from one request of an endpoint to the next. So such blocks are
kept, for all connections, since the keys of a provider share them. What one request alone carries, its length
above all, is put behind it. All of it is checked for what could end a line early: a key with a stray newline
must not become a header of its own.

The grammar is that of RFC 9110 (5.1, 5.5) and RFC 9112 (3), read as strictly as h11 reads it.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from router.upstream.message import (
    OutgoingRequest,
    by_name,
    kept,
    shared_headers,
    tells_length,
)

MOST_BLOCKS: Final = 2_000  # of a kibibyte at most, as a rule

_TOKEN: Final = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
_TARGET: Final = re.compile(rb"[!-~]+")
# Words with blanks and tabs between them only; bytes above 127 are taken as they are.
_VALUE: Final = re.compile(rb"(?:[^\x00\s]+(?:[ \t]+[^\x00\s]+)*)?")


def encode_head(request: OutgoingRequest, authority: str) -> tuple[bytes, bool]:
    """Return the head, and whether it asks the origin to close the connection after this request.

    `authority` is the value of the Host header. Raises ValueError where the head is not valid HTTP, and does
    not show what it is.
    """
    head, asks_to_close = _block(request.method, request.target, tuple(request.headers), authority)
    if request.own_headers:
        head += _lines(kept(request.own_headers))
    if tells_length(request):
        return b"%bcontent-length: %d\r\n\r\n" % (head, len(request.body)), asks_to_close
    return head + b"\r\n", asks_to_close


@lru_cache(maxsize=MOST_BLOCKS)
def _block(
    method: bytes, target: bytes, own: tuple[tuple[bytes, bytes], ...], authority: str
) -> tuple[bytes, bool]:
    """Return the first line and the shared headers, and whether these end the connection.

    Raises ValueError where they are not valid HTTP.
    """
    if not (_TOKEN.fullmatch(method) and _TARGET.fullmatch(target)):
        raise _not_http()
    headers = shared_headers(own, authority)
    block = b"%b %b HTTP/1.1\r\n%b" % (method, target, _lines(headers))
    return block, wants_close(by_name(headers).get(b"connection", b""))


def wants_close(connection: bytes) -> bool:
    """Tell whether the value of a Connection header ends the connection (RFC 9112, 9.6)."""
    return b"close" in map(bytes.strip, connection.lower().split(b","))


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    for name, value in headers:
        if not (_TOKEN.fullmatch(name) and _VALUE.fullmatch(value)):
            raise _not_http()
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _not_http() -> ValueError:
    return ValueError("method, target or headers of the request are not valid HTTP")

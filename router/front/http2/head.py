"""A request's head as HTTP/2 carries it, made into what the application is told; and the head of an answer.

h2 has checked what the protocol itself asks for. What is checked here is what HTTP/1.1 requests are held to
as well, by the same rules: the same methods, targets, hosts and lengths are served on both.
"""

import re
from collections.abc import Iterable
from typing import Final

from hypercorn.typing import HTTPScope

from router.errors import MalformedRequest
from router.front.http1.asgi_calls import Ends, asgi_scope
from router.front.http1.head import MAX_LINES, METHODS, PLAIN, RequestLine
from router.front.http1.rules import judge

Header = tuple[bytes, bytes]

_TARGET: Final = re.compile(rb"[!-~]+")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
_ENDS_LINE: Final = re.compile(rb"[\0\r\n]")
# RFC 9113, section 8.2.2; a body's end is a frame's flag, and codings of transfer there are none.
_OF_CONNECTIONS: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)


def scope_of(fields: Iterable[Header], ends: Ends) -> HTTPScope:
    """Return the scope of the request with these header fields. Raises `MalformedRequest`.

    A `host` header stands for the authority, as ASGI has it.
    """
    pseudo: dict[bytes, bytes] = {}
    headers: list[Header] = []
    for name, value in fields:
        if name.startswith(b":"):
            pseudo[name] = value
        else:
            headers.append((name, value))
    authority = pseudo.get(b":authority")
    if authority is not None:
        headers = [
            (b"host", authority),
            *[header for header in headers if header[0] != b"host"],
        ]
    return asgi_scope(judge(_request_line(pseudo, headers), headers), ends)


def answer_head(status: int, headers: Iterable[Header], date: Header) -> list[Header]:
    """Return the header fields of an answer. Raises `ValueError` for what is not valid HTTP."""
    told = [(b":status", b"%d" % status)]
    for given, value in headers:
        name = given.lower()
        if not _NAME.fullmatch(name) or _ENDS_LINE.search(value):
            raise ValueError("the answer's headers are not valid HTTP")
        if name in _OF_CONNECTIONS or (name == b"content-length" and status == 204):
            continue
        told.append((name, value.strip(b" \t")))
    told.append(date)
    return told


def _request_line(pseudo: dict[bytes, bytes], headers: list[Header]) -> RequestLine:
    if len(headers) >= MAX_LINES:
        raise MalformedRequest(f"The request has {MAX_LINES} headers or more.", status=431)
    method = pseudo[b":method"].decode("latin-1")
    if method not in METHODS:
        raise MalformedRequest("The request's method is not known here.", status=501)
    target = pseudo[b":path"]
    if not _TARGET.fullmatch(target):
        raise MalformedRequest("The request's target is not a path.")
    if any(not _NAME.fullmatch(name) or value.translate(None, PLAIN) for name, value in headers):
        raise MalformedRequest("The request's headers have characters that no header has.")
    return RequestLine(method, target, "2")

"""The request and the response head as plain values, free of any connection.

A request keeps its body as bytes that can be sent again: the one retry on a fresh connection
depends on that.
"""

from collections.abc import Sequence

import msgspec

Headers = Sequence[tuple[bytes, bytes]]


class OutgoingRequest(msgspec.Struct, frozen=True):
    """One request. Header names are lower-case.

    `headers` are best the same for many requests: then they are written once (see `request_head`).
    `own_headers` are those of this request alone. `is_urgent`: it goes out at once, and waits for no others
    to go out with; a stream's does, whose first token is waited for while the worker relays those of others.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes = b""
    own_headers: Headers = ()
    is_urgent: bool = False


class ResponseHead(msgspec.Struct, frozen=True):
    """Status and headers of a final (not 1xx) response; header names are lower-case.

    `named` has the same headers `by_name`.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    named: dict[bytes, bytes]


def by_name(headers: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """The values by name; those of one that stands there more than once make a list (RFC 9110, 5.3)."""
    named = dict(headers)
    if len(named) < len(headers):
        named.clear()
        for name, value in headers:
            named[name] = b"%b,%b" % (named[name], value) if name in named else value
    return named


# Framing and addressing belong to the connection: taken over from a caller, they could contradict
# the body that is really sent.
_OURS = frozenset((b"host", b"content-length", b"transfer-encoding"))
_BODILESS = frozenset((b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE"))


def complete_headers(request: OutgoingRequest, authority: str) -> list[tuple[bytes, bytes]]:
    """All headers as they go out: those that many requests share, then those of this one."""
    return [*shared_headers(request.headers, authority), *own_headers(request)]


def shared_headers(own: Headers, authority: str) -> list[tuple[bytes, bytes]]:
    """The headers that many requests share: host first, the caller's own, the encoding.

    Compression is declined unless the caller asked for it: a compressed stream of small events
    costs latency and saves nothing.
    """
    headers = [(b"host", authority.encode("ascii")), *kept(own)]
    if not any(name == b"accept-encoding" for name, _ in own):
        headers.append((b"accept-encoding", b"identity"))
    return headers


def own_headers(request: OutgoingRequest) -> list[tuple[bytes, bytes]]:
    """The headers that only this request has: its own, and its length."""
    headers = kept(request.own_headers)
    if tells_length(request):
        headers.append((b"content-length", b"%d" % len(request.body)))
    return headers


def tells_length(request: OutgoingRequest) -> bool:
    """Whether the request has a content-length; it goes without where it cannot have a body."""
    return request.body != b"" or request.method not in _BODILESS


def kept(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Those of a caller's headers that are its own to set."""
    return [header for header in headers if header[0] not in _OURS]

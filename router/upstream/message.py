"""The request and the response head as plain values, free of any connection.

A request keeps its body as bytes that can be sent again: the one retry on a fresh connection
depends on that.
"""

from collections.abc import Sequence

import msgspec

Headers = Sequence[tuple[bytes, bytes]]


class OutgoingRequest(msgspec.Struct, frozen=True):
    """One request. Header names are lower-case; several body parts are sent one after another.

    `headers` are best the same for many requests: then they are written once (see `request_head`).
    `own_headers` are those of this request alone.
    """

    method: bytes
    target: bytes
    headers: Headers
    body: bytes | Sequence[bytes] = b""
    own_headers: Headers = ()

    def body_parts(self) -> Sequence[bytes]:
        """The body as a sequence of parts; empty where there is no body."""
        if isinstance(self.body, bytes):
            return (self.body,) if self.body else ()
        return self.body


class ResponseHead(msgspec.Struct, frozen=True):
    """Status and headers of a final (not 1xx) response; header names are lower-case."""

    status: int
    headers: list[tuple[bytes, bytes]]


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
    length = content_length(request)
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    return headers


def content_length(request: OutgoingRequest) -> int | None:
    """What its content-length says; `None` where it goes without."""
    body = request.body
    length = len(body) if isinstance(body, bytes) else sum(map(len, body))
    return length if length or request.method not in _BODILESS else None


def kept(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Those of a caller's headers that are its own to set."""
    return [header for header in headers if header[0] not in _OURS]

"""The request and the response head as plain values, free of any connection.

A request keeps its body as bytes that can be sent again: the one retry on a fresh connection
depends on that.
"""

from collections.abc import Sequence

import msgspec

Headers = Sequence[tuple[bytes, bytes]]


class OutgoingRequest(msgspec.Struct, frozen=True):
    """One request. Header names are lower-case; several body parts are sent one after another."""

    method: bytes
    target: bytes
    headers: Headers
    body: bytes | Sequence[bytes] = b""

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
    """The headers as they go out: host first, the caller's own, then encoding and length.

    Compression is declined unless the caller asked for it: a compressed stream of small events
    costs latency and saves nothing.
    """
    headers = [(b"host", authority.encode("ascii"))]
    headers += [header for header in request.headers if header[0] not in _OURS]
    if not any(name == b"accept-encoding" for name, _ in request.headers):
        headers.append((b"accept-encoding", b"identity"))
    length = sum(map(len, request.body_parts()))
    if length or request.method not in _BODILESS:
        headers.append((b"content-length", b"%d" % length))
    return headers

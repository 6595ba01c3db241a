"""What can go wrong between us and an origin.

Errors of sockets, TLS, DNS and the HTTP parser are translated into these once, at the place where
they arise, so that whoever decides about another attempt reads one small tree. Messages name the
origin and never a header or a key.
"""

from typing import Literal

from router.upstream.origin import Origin

ConnectFailureKind = Literal["refused", "reset", "dns", "tls", "unreachable", "other"]


class UpstreamTransportError(Exception):
    """The origin did not give an answer that can be read to its end."""

    def __init__(self, origin: Origin, message: str) -> None:
        super().__init__(f"{origin}: {message}")
        self.origin = origin


class ConnectFailed(UpstreamTransportError):
    """No connection came about, so the origin has seen nothing of the request."""

    def __init__(self, origin: Origin, *, kind: ConnectFailureKind, detail: str = "") -> None:
        super().__init__(origin, f"no connection ({kind})" + (f": {detail}" if detail else ""))
        self.kind: ConnectFailureKind = kind


class UpstreamCut(UpstreamTransportError):
    """The connection was closed or reset before the answer was complete.

    `response_started` tells whether any byte of the answer had arrived.
    """

    def __init__(self, origin: Origin, *, response_started: bool) -> None:
        where = "in the middle of" if response_started else "before"
        super().__init__(origin, f"connection closed {where} the answer")
        self.response_started = response_started


class UpstreamProtocolError(UpstreamTransportError):
    """What the origin sent is not valid HTTP, or not the encoding it announced."""


class AnswerTooLarge(UpstreamTransportError):
    """The whole answer was asked for, and it is longer than the caller's limit."""

    def __init__(self, origin: Origin, *, max_bytes: int) -> None:
        super().__init__(origin, f"answer longer than {max_bytes} bytes")
        self.max_bytes = max_bytes

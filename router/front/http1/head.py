"""Where a request's head ends, and which bytes it may have.

These checks come before any parser. A head is lines that end in CR LF and in nothing else, without control
characters and without folded lines: what two readers could understand differently is refused here, so that
nobody smuggles a request past one of them (RFC 9112, sections 2.2, 5.2 and 11.2).
"""

import re
from typing import Final, NamedTuple

from router.errors import MalformedRequest

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_LINES: Final = 256

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\n"  # the part of it that looks like a head

_END: Final = b"\r\n\r\n"
PLAIN: Final = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))
_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/([0-9]\.[0-9])\r\n"
)


class RequestLine(NamedTuple):
    """The first line of a request, as it came."""

    method: str
    target: bytes
    http_version: str


def find_head(data: bytes) -> int:
    """Return where the head ends that `data` starts with, 0 while it is not whole.

    Raises `MalformedRequest` as soon as no head can come of it.
    """
    end = data.find(_END, 0, MAX_HEAD_BYTES)
    if end >= 0:
        return end + len(_END)
    if len(data) >= MAX_HEAD_BYTES:
        raise MalformedRequest(
            f"The request's head exceeds the limit of {MAX_HEAD_BYTES} bytes.", status=431
        )
    if data and data[0] <= 32:
        raise MalformedRequest("The request does not begin with a method.")
    if data.count(b"\n") != data.count(b"\r\n"):
        raise _bad_bytes()
    return 0


def read_request_line(head: bytes) -> RequestLine:
    """Return the first line of a whole head. Raises `MalformedRequest`, also for what stands below it."""
    line_ends = head.count(b"\r\n")
    if len(head.translate(None, PLAIN)) != 2 * line_ends:
        raise _bad_bytes()
    if b"\r\n " in head or b"\r\n\t" in head:
        raise MalformedRequest("A header is folded over two lines.")
    if line_ends > MAX_LINES:
        raise MalformedRequest(f"The request has more than {MAX_LINES} lines.", status=431)
    matched = _REQUEST_LINE.match(head)
    if matched is None:
        raise MalformedRequest("The request's first line is not 'METHOD /path HTTP/1.1'.")
    line = RequestLine(matched[1].decode(), matched[2], matched[3].decode())
    if line.http_version not in {"1.0", "1.1"}:
        raise MalformedRequest("Only HTTP/1.1 and HTTP/1.0 are served this way.", status=505)
    if line.method not in METHODS:
        raise MalformedRequest("The request's method is not known here.", status=501)
    return line


def _bad_bytes() -> MalformedRequest:
    return MalformedRequest(
        "The request's head has control characters, or lines that do not end in CR LF."
    )

"""The lines of an answer's head: which may go out as they are, and which are no HTTP.

Names that the gateway itself writes are known to be sound, any other is checked, and all values are in one
pass over what goes out, so that none can end its line and begin another.
"""

from collections.abc import Sequence
from http import HTTPStatus
from operator import itemgetter
from typing import Final

Header = tuple[bytes, bytes]

_PLAIN: Final = bytes(byte for byte in range(256) if byte not in {0, 10, 13})
_NAME: Final = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in HTTPStatus
}
FRAMING: Final = frozenset({b"connection", b"content-length", b"transfer-encoding"})
"""Headers that say where an answer ends, which nobody but the connection knows."""

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


def status_line(status: int) -> bytes:
    """Return the first line of an answer."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status


def beginning(status: int, headers: Sequence[Header]) -> bytes:
    """Return the status line and the headers' lines, without those that tell of framing.

    Raises `ValueError` for what is not valid HTTP.
    """
    told = header_lines([one for one in headers if one[0].lower() not in FRAMING])
    return b"\r\n".join([status_line(status), *told])


def header_lines(headers: Sequence[Header]) -> list[bytes]:
    """Return headers, none of which tells of framing, as lines without their ends.

    Raises `ValueError` for what is not valid HTTP.
    """
    lines = [*map(b": ".join, headers)]
    if b"".join(lines).translate(None, _PLAIN):
        raise invalid()
    if not _OUR_NAMES.issuperset(map(_name_of, headers)):
        for name, _ in headers:
            check_name(name)
    return lines


def check_name(name: bytes) -> None:
    """Raise `ValueError` for what is not a header's name."""
    if not name or name.translate(None, _NAME):
        raise invalid()


def invalid() -> ValueError:
    """Return the error for headers that would break an answer."""
    return ValueError("the answer's headers are not valid HTTP")

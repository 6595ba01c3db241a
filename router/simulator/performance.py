"""A performance: everything one exchange will put on the wire, with the moment of each write.

It is a plan without transport. What decides on content and faults writes it, synchronously and
without a clock; the connection only carries it out. That keeps every fault testable as data, and
the connection short.
"""

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]
JSON: Final[Headers] = ((b"content-type", b"application/json"),)
EVENT_STREAM: Final[Headers] = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
)


class Ending(enum.Enum):
    """How an exchange ends."""

    COMPLETE = "the body ends, the connection is kept"
    HANG_UP = "the body ends, then the connection closes although nothing announced it"
    CUT = "the connection closes without the end of the body"
    RESET = "the connection is reset"
    STALL = "nothing follows until the client leaves"


Step = tuple[float, bytes, Ending | None]
"""Seconds from the request, bytes of the body for one write, and on the last step the ending.

A plain tuple: one is made for every event of every stream.
"""


class Head(msgspec.Struct, frozen=True):
    """Status and headers; `length` is the body's size in bytes, None if unknown."""

    status: int
    headers: Headers
    length: int | None = None


class Performance(msgspec.Struct, frozen=True):
    """A head and the steps of its body.

    The head is due `head_at` seconds after the request; None means that none is ever sent. The
    head waits for the first step if both are due at the same time, and they share one write. The
    last step, and no other, has an ending.
    """

    head_at: float
    head: Head | None
    steps: Iterable[Step]


def unanswered(ending: Ending, *, at: float) -> Performance:
    """No answer at all: silence, or a reset before the head."""
    return Performance(at, None, [(at, b"", ending)])

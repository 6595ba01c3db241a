"""AWS's binary event stream, written by hand, since its own library only reads it.

A frame is a prelude (the lengths of the frame and of its headers, and a checksum over both), headers, a
payload, and a checksum over all that. A header has a name, the number of its type, and a value; what is said
here needs texts alone, and the odd form has one header of every other type. Source: "Event stream encoding"
in the documentation of Amazon Transcribe, which holds for all services.

A payload is the JSON of the union that a stream consists of, `{"<event>": {...}}`: the name of its one member
becomes a header and the member itself the frame's payload.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from router.simulator.performance import Headers, Step

MEDIA: Final[Headers] = ((b"content-type", b"application/vnd.amazon.eventstream"),)
_TEXT: Final = 7
_PRELUDE_BYTES: Final = 12
_CHECKSUM_BYTES: Final = 4
_EXCEPTION: Final = b"Exception"
_JSON: Final = b"application/json"
_ODD: Final = b"".join(
    struct.pack(f">B{len(name)}sB", len(name), name, kind) + value
    for name, kind, value in (
        (b"yes", 0, b""),
        (b"no", 1, b""),
        (b"byte", 2, b"\x01"),
        (b"short", 3, struct.pack(">h", -2)),
        (b"integer", 4, struct.pack(">i", 3)),
        (b"long", 5, struct.pack(">q", -4)),
        (b"bytes", 6, struct.pack(">H3s", 3, b"\x00\xff\x01")),
        (b"time", 8, struct.pack(">q", 1_767_225_600_000)),
        (b"uuid", 9, bytes(range(16))),
    )
)
"""One header of each type that is no text."""


def frame(headers: bytes, payload: bytes) -> bytes:
    """One frame around encoded headers and a payload."""
    length = _PRELUDE_BYTES + len(headers) + len(payload) + _CHECKSUM_BYTES
    lengths = struct.pack(">II", length, len(headers))
    body = lengths + struct.pack(">I", zlib.crc32(lengths)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def text_header(name: bytes, value: bytes) -> bytes:
    """A header whose value is a text."""
    return struct.pack(f">B{len(name)}sBH", len(name), name, _TEXT, len(value)) + value


def frames(steps: Iterable[Step]) -> Iterator[Step]:
    """Payloads as frames, each named by the member that it holds."""
    return ((at, _framed(payload) if payload else b"", ending) for at, payload, ending in steps)


def odd_frames(steps: Iterable[Step]) -> Iterator[Step]:
    """The same frames with headers of every type beside their own."""
    return (
        (at, _framed(payload, _ODD) if payload else b"", ending) for at, payload, ending in steps
    )


def _framed(payload: bytes, more: bytes = b"") -> bytes:
    name = payload.split(b'"', 2)[1]
    told = payload[len(name) + 4 : -1]
    is_exception = name.endswith(_EXCEPTION)
    kind = b"exception" if is_exception else b"event"
    headers = (
        text_header(b":exception-type" if is_exception else b":event-type", name)
        + text_header(b":content-type", _JSON)
        + text_header(b":message-type", kind)
    )
    return frame(more + headers, told)

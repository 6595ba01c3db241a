"""A request's body as it lies in the bytes received: of a known length, or in chunks.

Chunks are read by the letter (RFC 9112, section 7.1): a size in hexadecimal digits, an extension that is
ignored, CR LF and nothing else at the end of a line. Trailers are checked and thrown away.
"""

import re
from typing import Final, Protocol

from router.errors import MalformedRequest

MAX_CHUNK_LINE_BYTES: Final = 4096
MAX_TRAILER_BYTES: Final = 16 * 1024

# Fifteen digits are more than any body has, and fewer than would overflow anybody's integers.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")


class Body(Protocol):
    """A body that is read piece by piece."""

    ended: bool

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the body bytes in `data`, and what of it was not used. Raises `MalformedRequest`."""


class SizedBody:
    """A body of `length` bytes."""

    __slots__ = ("_left", "ended")

    def __init__(self, length: int) -> None:
        self._left = length
        self.ended = length == 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the body bytes in `data`, and what follows the body."""
        piece = data if len(data) <= self._left else data[: self._left]
        self._left -= len(piece)
        self.ended = self._left == 0
        return piece, data[len(piece) :]


class ChunkedBody:
    """A body in chunks."""

    __slots__ = ("_before_size", "_left", "_trailer_bytes", "ended")

    def __init__(self) -> None:
        self._left = 0  # of the chunk's data
        self._before_size = (
            b""  # what stands before the next size: nothing, then the end of the data
        )
        self._trailer_bytes: int | None = None  # so many were read; None before the last chunk
        self.ended = False

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the body bytes in `data`, joined, and what was not used. Raises `MalformedRequest`."""
        pieces: list[bytes] = []
        at = 0
        while not self.ended and at < len(data):
            if self._left:
                pieces.append(data[at : at + self._left])
                at += len(pieces[-1])
                self._left -= len(pieces[-1])
                continue
            line_end = self._line_end(data, at)
            if line_end < 0:
                break
            self._read_line(data[at + len(self._before_size) : line_end])
            at = line_end + 2
        return b"".join(pieces), data[at:]

    def _line_end(self, data: bytes, at: int) -> int:
        """Return where the next line ends, -1 if it is not whole yet."""
        before = data[at : at + len(self._before_size)]
        if not self._before_size.startswith(before):
            raise MalformedRequest("A chunk of the body is not as long as it says.")
        start = at + len(self._before_size)
        line_end = data.find(b"\r\n", start)
        if line_end < 0 and b"\n" in data[start:]:
            raise MalformedRequest("A line between the body's chunks does not end in CR LF.")
        if (line_end if line_end >= 0 else len(data)) - start > MAX_CHUNK_LINE_BYTES:
            raise MalformedRequest("A line between the body's chunks is too long.")
        return line_end

    def _read_line(self, line: bytes) -> None:
        if self._trailer_bytes is not None:
            self._read_trailer(line)
            return
        matched = _SIZE_LINE.fullmatch(line)
        if matched is None:
            raise MalformedRequest("The size of a chunk of the body is not a number.")
        self._left = int(matched[1], 16)
        self._before_size = b"\r\n" if self._left else b""
        if not self._left:
            self._trailer_bytes = 0

    def _read_trailer(self, line: bytes) -> None:
        self.ended = not line
        self._trailer_bytes = (self._trailer_bytes or 0) + len(line) + 2
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise MalformedRequest("The body's trailers are too long.")
        if line and not _TRAILER.fullmatch(line):
            raise MalformedRequest("A trailer of the body is not a header.")


def body_of(length: int | None) -> Body:
    """Return the reader of a body of that length, of a chunked one for `None`."""
    return ChunkedBody() if length is None else SizedBody(length)

"""Undoing the gzip or deflate of a response body while it arrives.

We decline compression, yet some origins insist. Whatever can be decoded from the bytes at hand is
given out at once, so a compressed stream still streams; and never more than 64 KiB at a time, so
that a few bytes which unfold into gigabytes are read at the pace of whoever consumes them.

"deflate" means the zlib format (RFC 9110, 8.4.1.2), but origins exist that send bare deflate data
(RFC 1951); the first two bytes tell which. A gzip body may be several members in a row (RFC 1952,
2.2), with zero bytes as padding behind them.
"""

import zlib
from typing import Literal

from router.upstream.message import ResponseHead

_PIECE_BYTES = 64 * 1024

_GZIP_FORMAT = 16 + zlib.MAX_WBITS
_ZLIB_FORMAT = zlib.MAX_WBITS
_BARE_FORMAT = -zlib.MAX_WBITS

Encoding = Literal["gzip", "deflate"]
_KNOWN: dict[bytes, Encoding] = {b"gzip": "gzip", b"x-gzip": "gzip", b"deflate": "deflate"}


class Inflater:
    """Decodes one body. Feed it with `receive_data`, empty it with `next_piece`, then `finish`."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._pending = b""
        self._member: zlib._Decompress | None = None
        self._ended_once = False

    def receive_data(self, data: bytes) -> None:
        """Take in encoded bytes."""
        self._pending += data

    def next_piece(self) -> bytes:
        """Decoded bytes, at most 64 KiB; b"" when more data is needed.

        Raises zlib.error when the data is not what the encoding says.
        """
        while self._member is not None or self._begin_member():
            assert self._member is not None  # noqa: S101 - narrows the type
            piece = self._member.decompress(self._pending, _PIECE_BYTES)
            if self._member.eof:
                self._pending = self._member.unused_data
                self._member = None
                self._ended_once = True
            else:
                self._pending = self._member.unconsumed_tail
            if piece:
                return piece
            if self._member is not None:
                break
        return b""

    def finish(self) -> None:
        """To be called when no data follows. Raises EOFError when the body stops half-way."""
        if self._member is not None or self._pending:
            raise EOFError

    def _begin_member(self) -> bool:
        if self._ended_once:
            # Zero bytes pad a gzip file; deflate has no second member at all.
            self._pending = self._pending.lstrip(b"\0") if self._encoding == "gzip" else b""
        if len(self._pending) < (2 if self._encoding == "deflate" else 1):
            return False
        self._member = zlib.decompressobj(wbits=self._format())
        return True

    def _format(self) -> int:
        if self._encoding == "gzip":
            return _GZIP_FORMAT
        # RFC 1950: compression method 8, and the two bytes as a number divide by 31.
        first, second = self._pending[:2]
        is_zlib = first & 0x0F == 8 and (first << 8 | second) % 31 == 0
        return _ZLIB_FORMAT if is_zlib else _BARE_FORMAT


def choose_decoder(head: ResponseHead) -> tuple[Inflater | None, list[tuple[bytes, bytes]]]:
    """The decoder the response needs, if any, and the headers that are true of the decoded body.

    An encoding unknown to us, or several at once, is left alone together with its header.
    """
    encoding = _KNOWN.get(head.named.get(b"content-encoding", b"").strip().lower())
    if encoding is None:
        return None, head.headers
    gone = (b"content-encoding", b"content-length")
    return Inflater(encoding), [header for header in head.headers if header[0] not in gone]

"""The same client side of HTTP/1.1 as in `http1`, made for speed.

Heads are read line by line, and lines that came before are known (`response_head`). In a body whose length
is known, or that ends with the connection, there is nothing to parse: it is handed on as it came. Chunks are
read by llhttp, which is written in C. What a head means (where the body ends, whether another answer may
follow) is judged here, by the rules that h11 follows.

Nothing that comes behind an answer goes unnoticed, and whatever does rules the connection out. Where this
parser and h11 differ, this one is the stricter (`tests/properties/test_upstream_parsers.py` has the table).
"""

from typing import Final, Literal

import httptools

from router.upstream.errors import UpstreamCut, UpstreamProtocolError, UpstreamTransportError
from router.upstream.message import OutgoingRequest, ResponseHead, by_name
from router.upstream.origin import Origin
from router.upstream.request_head import encode_head, wants_close
from router.upstream.response_head import read_headers, read_status_line

_MAX_QUIET_BYTES: Final = 64 * 1024
_MOST_LENGTH_DIGITS: Final = 18
_BEGINNING: Final = b"HTTP/"
_LINE_END: Final = b"\r\n"
_HEAD_END: Final = b"\r\n\r\n"
_BODILESS: Final = frozenset({204, 304})
# What llhttp has to have seen before it reads chunks, and so that it reads no other answer behind them.
_CHUNKS_FOLLOW: Final = (
    b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
)

_Stage = Literal["head", "counted", "chunked", "until close", "ended"]


class FastHttp1Client:
    """Requests and responses of one connection, one after another (see `router.upstream.http1`)."""

    __slots__ = (
        "_authority",
        "_failure",
        "_head",
        "_headers",
        "_is_sent",
        "_may_follow",
        "_missing_bytes",
        "_origin",
        "_parser",
        "_pieces",
        "_quiet_bytes",
        "_seam",
        "_stage",
        "_status",
        "_told",
        "_wants_no_body",
    )

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._authority = origin.authority
        self._failure: UpstreamTransportError | None = None
        self._head: ResponseHead | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._stage: _Stage = "head"
        self._told: _Told | None = None
        self._is_sent = False
        self._wants_no_body = False
        self._may_follow = False
        self._missing_bytes = 0
        self._expect_head()

    def start_next_cycle(self) -> bool:
        """Make ready for another request on the same connection; tells whether it is reusable."""
        if not self.is_reusable:
            return False
        self._expect_head()
        return True

    def encode_head(self, request: OutgoingRequest) -> bytes:
        """The head to send; the body goes behind it as it is.

        Raises ValueError when the head is not valid HTTP. The message does not show the offending
        value, which may be a key with a stray newline.
        """
        head, asks_to_close = encode_head(request, self._authority)
        self._is_sent = not asks_to_close
        self._wants_no_body = request.method == b"HEAD"
        return head

    def abandon_request(self) -> None:
        """Take note that not all of the request was sent, so no other can follow."""
        self._is_sent = False

    def receive_data(self, data: bytes) -> None:
        """Take in what was read; empty means the end of the stream."""
        if not data:
            self._receive_end()
        while data and self._stage == "head" and self._failure is None:
            data = self._receive_head(data)
        if not data or self._failure is not None:
            return
        if self._stage == "counted":
            self._may_follow &= len(data) <= self._missing_bytes
            self._pieces.append(data[: self._missing_bytes])
            self._missing_bytes -= len(data)
            if self._missing_bytes <= 0:
                self._stage = "ended"
        elif self._stage == "chunked":
            self._receive_chunks(data)
        elif self._stage == "until close":
            self._pieces.append(data)
        else:
            self._may_follow = False

    def piece_in(self, data: bytes) -> bytes | None:
        """The piece of the body that these bytes are, if they are one whole chunk.

        `None`: they may be anything, nothing was taken, and they are for `receive_data`.
        """
        if self._stage != "chunked" or not (self._told is None or self._told.is_between_chunks):
            return None
        end_of_size = data.find(b"\r\n")
        size = len(data) - end_of_size - 4
        if size <= 0 or data[:end_of_size] != b"%x" % size or not data.endswith(b"\r\n"):
            return None
        self._quiet_bytes = 0
        return data[end_of_size + 2 : -2]

    def next_head(self) -> ResponseHead | None:
        """The final response's head, or None when more data is needed; 1xx are passed over.

        Raises UpstreamProtocolError, or UpstreamCut after the end of the stream.
        """
        head, self._head = self._head, None
        if head is None and self._failure is not None:
            raise self._failure
        return head

    def next_body(self) -> bytes | None:
        """All body bytes at hand in one piece; b"" at the end, None when more data is needed.

        Raises UpstreamProtocolError, or UpstreamCut after the end of the stream.
        """
        if self._pieces:
            body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces.clear()
            return body
        if self._failure is not None:
            raise self._failure
        return b"" if self._stage == "ended" else None

    def whole_body(self) -> bytes | None:
        """All body bytes in one piece, once their end has come too; else None, and nothing was taken."""
        return self.next_body() if self._stage == "ended" else None

    @property
    def is_reusable(self) -> bool:
        """Whether both sides finished, neither wants to close, and nothing unasked has arrived."""
        has_all = self._stage == "ended" and not self._pieces and self._head is None
        return has_all and self._is_sent and self._may_follow

    def _expect_head(self) -> None:
        self._stage = "head"
        self._status = 0  # until the first line has been read
        self._headers = []
        self._seam = b""  # what was received last, as far as what comes next may belong to it
        self._quiet_bytes = 0  # received since anything came of it

    def _receive_head(self, data: bytes) -> bytes:
        """Read the lines of the head that are whole; return what comes behind the head."""
        # It begins with the end of the last line that was read, if any was.
        block = self._seam + data
        end = block.find(_HEAD_END)
        whole = end if end >= 0 else block.rfind(_LINE_END)
        try:
            if whole >= 0:
                first, *lines = block[:whole].split(_LINE_END)
                if not self._status:
                    self._status, self._may_follow = read_status_line(first)
                self._headers += read_headers(lines, whole)
            if end < 0:
                self._keep_begun(block[max(whole, 0) :], len(data))
                return b""
            self._judge_head()
        except ValueError as error:
            self._fail(str(error))
        return block[end + len(_HEAD_END) :]

    def _keep_begun(self, begun: bytes, size: int) -> None:
        """Keep a line that is not whole. Raises ValueError when nothing can come of it."""
        self._seam = begun
        if b"\n" in begun[len(_LINE_END) :]:
            raise ValueError("a line of its head ends strangely")
        if not self._status and begun[: len(_BEGINNING)] != _BEGINNING[: len(begun)]:
            raise ValueError("it does not begin with HTTP")
        self._note_quiet(size)

    def _judge_head(self) -> None:
        """Find out where the body ends, and whether another answer may follow. Raises ValueError."""
        status, headers = self._status, self._headers
        if status >= 200:
            named = by_name(headers)
            self._judge_framing(named)
            if self._wants_no_body or status in _BODILESS:
                self._stage = "ended"
            self._head = ResponseHead(status, headers, named)
        elif status != 101:
            self._expect_head()
        else:
            self._failure = UpstreamProtocolError(
                self._origin, "switched protocols without being asked"
            )

    def _judge_framing(self, named: dict[bytes, bytes]) -> None:
        length, coding = named.get(b"content-length"), named.get(b"transfer-encoding")
        if b"connection" in named:
            self._may_follow &= not wants_close(named[b"connection"])
        if length is not None:
            if coding is not None:
                raise ValueError("framing that contradicts itself")
            if not length.isdigit() or len(length) > _MOST_LENGTH_DIGITS:
                raise ValueError("a length that is none")
            self._missing_bytes = int(length)
            self._stage = "counted" if self._missing_bytes else "ended"
        elif coding is None:
            self._stage = "until close"
        elif coding.lower() != b"chunked":
            raise ValueError("a transfer coding that is not known")
        else:
            self._stage = "chunked"
            self._seam = b""
            self._quiet_bytes = 0
            self._told = None

    def _receive_chunks(self, data: bytes) -> None:
        told = self._told
        if told is None:
            if (piece := self.piece_in(data)) is not None:
                self._pieces.append(piece)
                return
            told = self._begin_to_parse()
        before = len(self._pieces)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(str(error))  # llhttp's reasons quote nothing of what was received
        self._seam = data[-5:] if len(data) >= 5 else (self._seam + data)[-5:]
        told.is_between_chunks &= data.endswith(b"\n")  # else the next size has begun
        if told.ended:
            # llhttp passes over further line ends; then the fifth byte from the end is one of them.
            self._may_follow &= self._failure is None and self._seam[:1] not in b"\r\n"
            self._failure = None
            self._stage = "ended"
        elif len(self._pieces) > before:
            self._quiet_bytes = 0
        else:
            self._note_quiet(len(data))

    def _begin_to_parse(self) -> "_Told":
        """Have llhttp from now on: what came is not one whole chunk, as what streams send mostly is."""
        told = self._told = _Told(self._pieces)
        self._parser = httptools.HttpResponseParser(told)
        self._parser.feed_data(_CHUNKS_FOLLOW)
        return told

    def _receive_end(self) -> None:
        if self._stage in {"until close", "ended"}:
            self._stage = "ended"
            self._may_follow = False
        elif self._failure is None:
            self._failure = UpstreamCut(self._origin, response_started=True)

    def _note_quiet(self, size: int) -> None:
        self._quiet_bytes += size
        if self._quiet_bytes > _MAX_QUIET_BYTES:
            self._fail("too long a head, or too much between chunks")

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = UpstreamProtocolError(self._origin, f"not valid HTTP ({reason})")


class _Told:
    """What llhttp tells of a body in chunks; its pieces go to `pieces`."""

    __slots__ = ("ended", "is_between_chunks", "on_body")

    def __init__(self, pieces: list[bytes]) -> None:
        self.ended = False
        self.is_between_chunks = True
        self.on_body = pieces.append

    def on_chunk_header(self) -> None:
        self.is_between_chunks = False

    def on_chunk_complete(self) -> None:
        self.is_between_chunks = True

    def on_message_complete(self) -> None:
        self.ended = True

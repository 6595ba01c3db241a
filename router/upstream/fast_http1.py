"""The same client side of HTTP/1.1 as in `http1`, on llhttp, which is written in C.

llhttp reads heads and chunks. In a body whose length is known, or that ends with the connection, there is
nothing to parse: it is handed on as it came. What a head means (where the body ends, whether another answer
may follow) is judged here, by the rules that h11 follows.

A head is fed to llhttp by itself, and the end of the last chunk is looked at once more: so nothing that comes
behind an answer goes unnoticed, and whatever does rules the connection out. Where the two parsers differ,
this one is the stricter (`tests/properties/test_upstream_parsers.py` has the table).
"""

import re
from typing import Final, Literal

import httptools

from router.upstream.errors import UpstreamCut, UpstreamProtocolError, UpstreamTransportError
from router.upstream.message import OutgoingRequest, ResponseHead
from router.upstream.origin import Origin
from router.upstream.request_head import RequestHeads, wants_close

_MAX_QUIET_BYTES: Final = 64 * 1024
# The headers that say where the body ends, and whether another answer may follow.
_TELLING: Final = frozenset({b"content-length", b"transfer-encoding", b"connection"})
_REASON: Final = re.compile(rb"[^\x00\n-\r]*")
_HEAD_END: Final = b"\r\n\r\n"
_BODILESS: Final = frozenset({204, 304})

_Stage = Literal["head", "counted", "chunked", "until close", "ended"]


class FastHttp1Client:
    """Requests and responses of one connection, one after another (see `router.upstream.http1`)."""

    __slots__ = (
        "_failure",
        "_head",
        "_is_sent",
        "_may_follow",
        "_missing_bytes",
        "_origin",
        "_parser",
        "_pieces",
        "_quiet_bytes",
        "_requests",
        "_seam",
        "_stage",
        "_told",
        "_wants_no_body",
    )

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._requests = RequestHeads(origin.authority)
        self._failure: UpstreamTransportError | None = None
        self.start_next_cycle()

    def start_next_cycle(self) -> None:
        """Make ready for another request on the same connection; only when it is reusable."""
        self._is_sent = False
        self._wants_no_body = False
        self._may_follow = True
        self._missing_bytes = 0
        self._head: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._expect_head()

    def encode_request(self, request: OutgoingRequest) -> list[bytes]:
        """The bytes to send, head first; body parts are the caller's own objects, not copies.

        Raises ValueError when the head is not valid HTTP. The message does not show the offending
        value, which may be a key with a stray newline.
        """
        pieces = [self._requests.encode(request), *request.body_parts()]
        self._is_sent = not self._requests.asks_to_close
        self._wants_no_body = request.method == b"HEAD"
        return pieces

    def abandon_request(self) -> None:
        """Take note that not all of the request was sent, so no other can follow."""
        self._is_sent = False

    def receive_data(self, data: bytes | bytearray) -> None:
        """Take in what was read; empty means the end of the stream."""
        if not data:
            self._receive_end()
        rest = bytes(data)
        while rest and self._failure is None:
            if self._stage == "chunked":
                self._receive_chunks(rest)
                return
            if self._stage == "head":
                rest = self._receive_head(rest)
            elif self._stage == "counted":
                rest = self._receive_counted(rest)
            elif self._stage == "until close":
                self._pieces.append(rest)
                return
            else:
                self._may_follow = False
                return

    def piece_in(self, data: bytes) -> bytes | None:
        """The piece of the body that these bytes are, if they are one whole chunk.

        `None`: they may be anything, nothing was taken, and they are for `receive_data`.
        """
        if self._stage != "chunked" or not self._told.is_between_chunks:
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
        return b"" if self.response_ended else None

    @property
    def response_ended(self) -> bool:
        """Whether the response was read to its end."""
        return self._stage == "ended" and not self._pieces and self._head is None

    @property
    def is_reusable(self) -> bool:
        """Whether both sides finished, neither wants to close, and nothing unasked has arrived."""
        return self._is_sent and self._may_follow and self.response_ended

    def _expect_head(self) -> None:
        self._stage: _Stage = "head"
        self._told = _Told(self._pieces)
        self._parser = httptools.HttpResponseParser(self._told)
        self._seam = b""
        self._quiet_bytes = 0  # received since anything came of it

    def _receive_head(self, data: bytes) -> bytes:
        if not self._quiet_bytes and not data.startswith(b"H"):
            self._fail("it does not begin with HTTP")
        seam = self._seam + data
        found = seam.find(_HEAD_END)
        end = len(data) if found < 0 else found + len(_HEAD_END) - len(self._seam)
        self._feed(data[:end])
        if self._told.head_ended != (found >= 0):
            self._fail("a line of the head ends strangely")
        self._seam = seam[-3:]
        if found < 0:
            self._note_quiet(end)
        elif self._failure is None:
            self._judge_head()
        return data[end:]

    def _judge_head(self) -> None:
        status, headers = self._parser.get_status_code(), self._told.headers
        if status == 101 or status < 100:
            self._failure = UpstreamProtocolError(
                self._origin, "switched protocols without being asked"
            )
        elif status < 200:
            self._expect_head()
        else:
            self._judge_framing(status, headers)
            if self._failure is None:
                self._head = ResponseHead(status, headers)

    def _judge_framing(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        told = [header for header in headers if header[0] in _TELLING]
        name, value = told[0] if told else (b"", b"")
        closes = False
        if len(told) > 1 or name == b"connection":
            closes = wants_close(told)
            framing = [header for header in told if header[0] != b"connection"]
            if len(framing) > 1:
                self._fail("framing that contradicts itself")
            name, value = framing[0] if framing else (b"", b"")
        self._may_follow = not closes and self._parser.get_http_version() == "1.1"
        if name == b"content-length":
            self._missing_bytes = int(value)
            self._stage = "counted" if self._missing_bytes else "ended"
        elif name:
            self._stage = "chunked"
            if value.lower() != b"chunked":
                self._fail("a transfer coding that is not known")
        else:
            self._stage = "until close"
        if self._wants_no_body or status in _BODILESS:
            self._stage = "ended"

    def _receive_counted(self, data: bytes) -> bytes:
        piece = data[: self._missing_bytes]
        self._pieces.append(piece)
        self._missing_bytes -= len(piece)
        if not self._missing_bytes:
            self._stage = "ended"
        return data[len(piece) :]

    def _receive_chunks(self, data: bytes) -> None:
        before = len(self._pieces)
        self._feed(data)
        self._seam = data[-5:] if len(data) >= 5 else (self._seam + data)[-5:]
        self._told.is_between_chunks &= data.endswith(b"\n")  # else the next size has begun
        if self._told.ended:
            # llhttp passes over line ends behind the last, and begins a next answer without being asked.
            self._may_follow &= (
                self._failure is None and self._told.begun == 1 and self._seam[:1] not in b"\r\n"
            )
            self._failure = None
            self._stage = "ended"
        elif len(self._pieces) > before:
            self._quiet_bytes = 0
        else:
            self._note_quiet(len(data))

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

    def _feed(self, data: bytes) -> None:
        if self._failure is not None:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return  # its status says so too
        except httptools.HttpParserError as error:
            self._fail(str(error))  # llhttp's reasons quote nothing of what was received

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = UpstreamProtocolError(self._origin, f"not valid HTTP ({reason})")


class _Told:
    """What llhttp tells of one response, and of what follows it; body pieces go to `pieces`."""

    __slots__ = ("begun", "ended", "head_ended", "headers", "is_between_chunks", "on_body")

    def __init__(self, pieces: list[bytes]) -> None:
        self.headers: list[tuple[bytes, bytes]] = []
        self.begun = 0
        self.head_ended = False
        self.ended = False
        self.is_between_chunks = True
        self.on_body = pieces.append

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_status(self, reason: bytes) -> None:
        if not _REASON.fullmatch(reason):
            raise ValueError(
                "control characters in the status line"
            )  # llhttp reports it as its own

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.head_ended:  # later ones are trailers, which nobody asked for
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        self.head_ended = True

    def on_chunk_header(self) -> None:
        self.is_between_chunks = False

    def on_chunk_complete(self) -> None:
        self.is_between_chunks = True

    def on_message_complete(self) -> None:
        self.ended = True

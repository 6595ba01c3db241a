"""The smallest reader of HTTP/1.1 responses that can tell a whole answer from a cut one.

A load generator shares the machine with what it measures, so it must cost little: a general
parser would spend more on a streamed event than the event's own check. This one reads only what our own
servers send: a status line and headers in one block, then a body by `content-length` or by chunks
without trailers. Anything else is an error, never a guess. Bodies that end with the connection are
refused as well, because they cannot be told from cut ones.

It does no I/O: feed bytes with `receive_data`, say `receive_eof` when the connection closes.
"""

from typing import Final

MAX_HEAD_BYTES: Final = 64 * 1024
MAX_SIZE_LINE_BYTES: Final = 32
MAX_CHUNK_BYTES: Final = 64 * 1024 * 1024
_HEXADECIMAL: Final = frozenset(b"0123456789abcdefABCDEF")


class BadResponse(Exception):
    """The peer sent something that is no response this reader knows, or broke off in one."""


class ResponseReader:
    """Reads one response.

    `status` is 0 and `headers` (names in lower case) is empty until the head is there. `complete` says
    that the body has ended by its own framing.
    """

    __slots__ = ("_buffer", "_chunked", "_left", "complete", "headers", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.complete = False
        self._chunked = False
        # Body bytes to come: of the whole body, or of the chunk with the two bytes that close it.
        self._left = 0
        self._buffer = b""

    def receive_data(self, data: bytes) -> bytes:
        """Take the next bytes from the wire and return the body bytes among them.

        Raises BadResponse for anything unexpected, bytes after the end included.
        """
        if self.complete:
            raise BadResponse("bytes after the end of the response")
        self._buffer = self._buffer + data if self._buffer else data
        if self.status == 0 and not self._read_head():
            return b""
        return self._read_body()

    def receive_eof(self) -> None:
        """The connection closed. Raises BadResponse if the response was not complete."""
        if not self.complete:
            where = "body" if self.status else "head"
            raise BadResponse(f"the connection closed in the middle of the {where}")

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadResponse(f"a head of more than {MAX_HEAD_BYTES} bytes")
            return False
        status_line, *lines = self._buffer[:end].split(b"\r\n")
        self._buffer = self._buffer[end + 4 :]
        status = _status(status_line)
        self.headers = _headers(lines)
        self._choose_framing()
        self.status = status
        return True

    def _choose_framing(self) -> None:
        coding = self.headers.get(b"transfer-encoding")
        length = self.headers.get(b"content-length")
        if coding is not None and length is None and coding.lower() == b"chunked":
            self._chunked = True
        elif coding is None and length is not None and length.isdigit():
            self._left = int(length)
        else:
            raise BadResponse(f"a body framed by {coding=} and {length=}")

    def _read_body(self) -> bytes:
        body = self._read_chunks() if self._chunked else self._read_sized()
        if self.complete and self._buffer:
            raise BadResponse("bytes after the end of the response")
        return body

    def _read_sized(self) -> bytes:
        body = self._buffer[: self._left]
        self._left -= len(body)
        self._buffer = self._buffer[len(body) :]
        self.complete = self._left == 0
        return body

    def _read_chunks(self) -> bytes:
        """Take whole and partial chunks out of the buffer, up to the chunk of size zero."""
        pieces: list[bytes] = []
        at = 0
        buffer = self._buffer
        while at < len(buffer) and not self.complete:
            if not self._left:
                line_end = buffer.find(b"\r\n", at)
                if line_end < 0:
                    break
                size = _chunk_size(buffer[at:line_end])
                if size == 0 and len(buffer) < line_end + 4:
                    break
                at = line_end + 2
                self._left = size + 2
                self.complete = size == 0
            at = self._take_chunk(at, pieces)
        self._buffer = buffer[at:]
        if not (self._left or self.complete) and len(self._buffer) > MAX_SIZE_LINE_BYTES:
            raise BadResponse("a chunk without a size")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_chunk(self, at: int, pieces: list[bytes]) -> int:
        """Take what is there of the current chunk and of its line end; return where it stops."""
        buffer = self._buffer
        of_body = min(self._left - 2, len(buffer) - at)
        if of_body > 0:
            pieces.append(buffer[at : at + of_body])
            self._left -= of_body
            at += of_body
        ending = buffer[at : at + self._left] if self._left <= 2 else b""
        if ending != b"\r\n"[2 - self._left :][: len(ending)]:
            raise BadResponse("a chunk that is longer than its size")
        self._left -= len(ending)
        return at + len(ending)


def _status(line: bytes) -> int:
    version, _, rest = line.partition(b" ")
    code = rest[:3]
    if version != b"HTTP/1.1" or not code.isdigit() or rest[3:4] not in {b"", b" "}:
        raise BadResponse(f"not a status line: {line[:80]!r}")
    if code < b"200":
        raise BadResponse(f"an interim response that nobody asked for: {code.decode()}")
    return int(code)


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or not name or name != name.strip():
            raise BadResponse(f"not a header: {line[:80]!r}")
        if name in headers and name in {b"content-length", b"transfer-encoding"}:
            raise BadResponse(f"{name.decode()} twice")
        headers[name] = value.strip()
    return headers


def _chunk_size(line: bytes) -> int:
    if not line or len(line) > MAX_SIZE_LINE_BYTES or not _HEXADECIMAL.issuperset(line):
        raise BadResponse(f"not the size of a chunk: {line[:40]!r}")
    size = int(line, 16)
    if size > MAX_CHUNK_BYTES:
        raise BadResponse(f"a chunk of {size} bytes")
    return size

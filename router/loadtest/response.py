"""The reading of one HTTP/1.1 response, cheap enough for a load generator, and strict about its end.

A load generator shares the machine with what it measures, so the parser is llhttp, in C. What matters here is
whether an answer was whole: a body that its framing promises and the connection does not bring is an
error. A body without framing ends with the connection, as HTTP has it; whether such an answer was whole,
only its content can tell.

It does no I/O: feed bytes with `receive_data`, say `receive_eof` when the connection closes.
"""

from typing import Final

import httptools

MAX_HEAD_BYTES: Final = 64 * 1024


class BadResponse(Exception):
    """The peer sent something that is no response, or broke off in one."""


class ResponseReader:
    """Reads one response; interim ones before it are passed over.

    `status` is 0 until the head is there, and `headers` have names in lower case. `complete` says that the
    body has ended, `reusable` that the connection can then take another request.
    """

    __slots__ = (
        "_bytes_of_head",
        "_excess",
        "_parser",
        "_pieces",
        "complete",
        "headers",
        "reusable",
        "status",
    )

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.complete = False
        self.reusable = False
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._excess = False
        self._bytes_of_head = 0

    def receive_data(self, data: bytes) -> bytes:
        """Take the next bytes from the wire and return the body bytes among them.

        Raises BadResponse for what is not HTTP, and for bytes after the end.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            if self.complete:
                raise BadResponse("bytes after the end of the response") from error
            raise BadResponse(f"not a response: {error}: {data[:80]!r}") from error
        if self._excess:
            raise BadResponse("bytes after the end of the response")
        if not self.status:
            self._bytes_of_head += len(data)
            if self._bytes_of_head > MAX_HEAD_BYTES:
                raise BadResponse(f"a head of more than {MAX_HEAD_BYTES} bytes")
        pieces = self._pieces
        if not pieces:
            return b""
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def receive_eof(self) -> None:
        """The connection closed. Raises BadResponse if the response was not complete."""
        if self.complete:
            return
        if self.status and not self._framed():
            self.complete = True
            return
        where = "body" if self.status else "head"
        raise BadResponse(f"the connection closed in the middle of the {where}")

    def on_message_begin(self) -> None:
        """llhttp found the first byte of a response."""
        self._excess = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp read a header (or a trailer, which is no header of the head)."""
        if not self.status:
            self.headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """llhttp read a whole head."""
        status = self._parser.get_status_code()
        if status < 200:
            self.headers.clear()
        else:
            self.status = status

    def on_body(self, body: bytes) -> None:
        """llhttp found bytes of the body."""
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        """llhttp found the end, of an interim response perhaps."""
        if self.status:
            self.complete = True
            self.reusable = bool(self._parser.should_keep_alive())

    def _framed(self) -> bool:
        return b"content-length" in self.headers or b"transfer-encoding" in self.headers

"""The seam between bytes and requests: what a parser tells of a request, and what it makes of an answer.

Two parsers stand behind it. `llhttp` is the one that serves; `reference` is built on h11 and keeps it
honest: both take the same bytes in the same tests, and where they differ, the stricter one is right.
A parser never waits and never sees the end of the input, which concerns the connection alone.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from router.front.http1.usual import Usual

Headers = Sequence[tuple[bytes, bytes]]

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Likeness:
    """What heads share that differ in nothing but the length of their body.

    A client's requests on one connection mostly have such heads. `meaning` is for whoever reads them, to keep
    what it has made of the first.
    """

    __slots__ = ("meaning",)

    def __init__(self) -> None:
        self.meaning: object = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Likeness)  # heads are equal by what they say

    def __hash__(self) -> int:
        return hash(Likeness)


class RequestHead(msgspec.Struct, frozen=True):
    """A request's head, sound in every respect.

    Header names are in lower case. `body_bytes` is the length of the body, `None` where it comes in
    chunks. `switch_to` names the protocol that the client asks for instead, where another may serve it:
    "websocket", or "h2" for the preface of HTTP/2.
    """

    method: str
    target: bytes
    http_version: str
    headers: list[tuple[bytes, bytes]]
    body_bytes: int | None = 0
    keep_alive: bool = True
    expects_continue: bool = False
    switch_to: str | None = None
    likeness: Likeness = msgspec.field(default_factory=Likeness)


class AnswerBytes(Protocol):
    """What makes an answer into bytes. Everything raises `ValueError` for what is not valid HTTP."""

    def head(self, status: int, headers: Headers, *, close: bool) -> bytes:
        """The head of the answer. `close` says that no other request will be read."""

    def whole(self, usual: Usual, headers: Headers, body: bytes, *, close: bool) -> bytes:
        """Head, body and end of an answer that begins as usual; its headers do not tell of its length."""

    def body(self, data: bytes) -> bytes:
        """A piece of the answer's body. Raises `ValueError` beyond its content-length."""

    def end(self) -> bytes:
        """The end of the answer. Raises `ValueError` short of its content-length."""

    @property
    def ends_by_closing(self) -> bool:
        """Whether the answer has no other end than that of the connection."""


class Http1Parser(Protocol):
    """The server's side of one connection: requests in, answers out, one after another.

    The methods that read raise `MalformedRequest`; after that only an answer may follow.
    """

    @property
    def answer(self) -> AnswerBytes:
        """The answer to the present request. There is none before a head and after its cycle."""

    def receive_data(self, data: bytes) -> None:
        """Take in what was read."""

    def next_head(self) -> RequestHead | None:
        """The next request's head, or `None` when more data is needed."""

    def next_body(self) -> bytes | None:
        """All body bytes at hand in one piece; b"" at the end, `None` when more data is needed."""

    @property
    def request_ended(self) -> bool:
        """Whether the request was read to its end."""

    @property
    def unread(self) -> bytes:
        """What was received and not yet told of."""

    def taken_back(self) -> bytes:
        """The bytes of the present head and all that follows, for another protocol to read again."""

    def start_next_cycle(self) -> bool:
        """Make ready for another request; `False` where none may follow, or this one has not ended."""

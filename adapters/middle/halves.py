"""The two halves of a translation: a face that clients speak, and an upstream that is spoken to.

Both are plain objects without state, but for a stream's decoder and encoder, which live as long as it.
Neither holds a transport.
"""

from typing import Protocol

from adapters.dialect import Call, EncodedRequest, Endpoint, Failure, Headers, Target, ToldError
from adapters.middle.answer import WholeAnswer
from adapters.middle.conversation import Conversation
from adapters.middle.event import MiddleEvent
from adapters.middle.tool_name import NameRule
from adapters.sse import Signal


class EventSource(Protocol):
    """Decodes one upstream stream. Feed `b""` once at the end of the body."""

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body."""

    def next_event(self) -> MiddleEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""


class EventWriter(Protocol):
    """Encodes one stream for a client, event by event."""

    def write(self, event: MiddleEvent) -> bytes:
        """Return the bytes that tell the client of an event, `b""` where there is nothing to tell."""

    def close(self) -> bytes:
        """Return the bytes that end a whole stream."""

    def fail(self, error: ToldError) -> bytes:
        """Return the bytes that tell the client of a stream that has begun what became of it."""


class Upstream(Protocol):
    """What an upstream dialect can do. `Target.paths` has the request target of each endpoint.

    `tool_names`: how functions may be called. Whoever hands over a conversation has made all names so.
    """

    tool_names: NameRule

    def encode(self, conversation: Conversation, target: Target, *, stream: bool) -> EncodedRequest:
        """Write the request. Raises `BadCall` for what cannot be said to this provider."""

    def decode(self, conversation: Conversation, body: bytes) -> WholeAnswer:
        """Read a whole answer. Raises `BadAnswer`."""

    def event_source(self, conversation: Conversation) -> EventSource:
        """Return a fresh decoder for one stream."""

    def classify_error(
        self, status: int, headers: Headers, body: bytes, *, now_at: float
    ) -> Failure:
        """Say what an error answer means. `now_at` is unix time."""


class Face(Protocol):
    """What a face can do. Its `Call` keeps the client's fields in their own bytes."""

    endpoint: Endpoint

    def conversation(self, call: Call) -> Conversation:
        """Read what the client wants. Raises `BadCall` naming the field."""

    def write_answer(self, call: Call, target: Target, answer: WholeAnswer) -> bytes:
        """Write a whole answer as the client expects it."""

    def event_writer(self, call: Call, target: Target) -> EventWriter:
        """Return a fresh encoder for one stream."""

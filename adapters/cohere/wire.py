"""What is read of Cohere's answers and of the events of its streams.

Only what the middle can say is decoded; citations and log probabilities are not. Source: "Chat API (v2)" in
Cohere's API reference.
"""

from typing import Final

import msgspec

from adapters.openai.foreign import NULL


class Function(msgspec.Struct, frozen=True):
    """What is called; of a stream's later pieces only `arguments`, a fragment."""

    name: str | None = None
    arguments: str | None = None


class Call(msgspec.Struct, frozen=True):
    """A call, or a piece of one."""

    id: str | None = None
    function: Function | None = None


class Content(msgspec.Struct, frozen=True):
    """A block of text or of thinking, or a piece of one."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None


class Message(msgspec.Struct, frozen=True):
    """What a whole answer says."""

    tool_plan: str | None = None
    content: list[Content] | None = None
    tool_calls: list[Call] | None = None


class Response(msgspec.Struct, frozen=True):
    """A whole answer; `finish_reason` is missing only in what is none."""

    finish_reason: str | None = None
    id: str | None = None
    message: Message | None = None
    usage: msgspec.Raw = NULL


class PieceOfMessage(msgspec.Struct, frozen=True):
    """What an event adds: one block or one call at a time, and not a list as in a whole answer."""

    tool_plan: str | None = None
    content: Content | None = None
    tool_calls: Call | None = None


class Delta(msgspec.Struct, frozen=True):
    """What is new in an event; the last three belong to the stream's end."""

    message: PieceOfMessage | None = None
    finish_reason: str | None = None
    usage: msgspec.Raw = NULL
    error: str | None = None


class Kind(msgspec.Struct, frozen=True):
    """What an event is; `id` is told at the start.

    That one alone has lists where the others have one block or one call, and they are empty.
    """

    type: str
    id: str | None = None


class Event(msgspec.Struct, frozen=True):
    """One event of a stream whose kind is read."""

    type: str
    index: int | None = None
    delta: Delta = Delta()


START: Final = "message-start"
KINDS: Final = frozenset(
    {
        "content-start",
        "content-delta",
        "content-end",
        "tool-plan-delta",
        "tool-call-start",
        "tool-call-delta",
        "tool-call-end",
        "message-end",
    }
)

decode_response: Final = msgspec.json.Decoder(Response).decode
decode_kind: Final = msgspec.json.Decoder(Kind).decode
decode_event: Final = msgspec.json.Decoder(Event).decode

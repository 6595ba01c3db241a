"""What is read of Converse's answers and of the events of its streams.

Only what the middle can say is decoded. A block and a delta are unions: one of their fields is there. Source:
the shapes `ConverseResponse` and `ConverseStreamOutput` of Bedrock Runtime's service model.
"""

from typing import Final

import msgspec

from adapters.openai.foreign import NULL


class ReasoningText(msgspec.Struct, frozen=True):
    """A thought of a whole answer."""

    text: str = ""
    signature: str | None = None


class Reasoning(msgspec.Struct, frozen=True, rename="camel"):
    """A thought: whole in `reasoning_text`, or in a stream a piece of it; base64 where it is secret."""

    reasoning_text: ReasoningText | None = None
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class ToolUse(msgspec.Struct, frozen=True, rename="camel"):
    """A call. `input` is an object, in a stream's delta a text that is a piece of one.

    One that has a `type` runs at the provider.
    """

    tool_use_id: str = ""
    name: str = ""
    input: msgspec.Raw = NULL
    type: str | None = None


class Cited(msgspec.Struct, frozen=True):
    """Text that has its sources beside it."""

    text: str = ""


class Citations(msgspec.Struct, frozen=True):
    """A block of such text."""

    content: tuple[Cited, ...] = ()


class Block(msgspec.Struct, frozen=True, rename="camel"):
    """One block of a whole answer, the beginning of one in a stream, or a piece of one."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citations_content: Citations | None = None


class Message(msgspec.Struct, frozen=True):
    """What the model says."""

    content: tuple[Block, ...] = ()


class Output(msgspec.Struct, frozen=True):
    """Where it stands in an answer."""

    message: Message | None = None


class ModelsFields(msgspec.Struct, frozen=True):
    """What a Claude tells besides, if asked."""

    stop_sequence: str | None = None


class Response(msgspec.Struct, frozen=True, rename="camel"):
    """A whole answer."""

    output: Output | None = None
    stop_reason: str | None = None
    usage: msgspec.Raw = NULL
    additional_model_response_fields: ModelsFields | None = None


class Event(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a stream; which of the fields are there depends on its name."""

    content_block_index: int = 0
    start: Block | None = None
    delta: Block | None = None
    stop_reason: str | None = None
    additional_model_response_fields: ModelsFields | None = None
    usage: msgspec.Raw = NULL


decode_response: Final = msgspec.json.Decoder(Response).decode
decode_event: Final = msgspec.json.Decoder(Event).decode
decode_fragment: Final = msgspec.json.Decoder(str).decode

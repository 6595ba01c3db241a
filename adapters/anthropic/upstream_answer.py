"""A whole message of Anthropic's, read into the middle."""

from typing import Final

import msgspec

from adapters.anthropic.block import Block, part_of
from adapters.anthropic.error import classify_object
from adapters.anthropic.stops import stop_of
from adapters.anthropic.structured import format_tool_name
from adapters.anthropic.usage import read_usage
from adapters.dialect import BadAnswer, Failure, FailureKind
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import Conversation, ToolCall
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, check_utf8


class _Message(msgspec.Struct):
    id: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decode_message: Final = msgspec.json.Decoder(_Message).decode


def read_answer(conversation: Conversation, body: bytes) -> WholeAnswer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none, or holds an error."""
    try:
        check_utf8(body)
        message = _decode_message(body)
    except UNREADABLE as error:
        raise invalid(f"The provider's answer cannot be read: {error}") from None
    if message.error not in FALSY:
        raise BadAnswer(classify_object(message.error))
    if message.content is None:
        raise invalid("The provider's answer has no 'content'.")
    format_tool = format_tool_name(conversation)
    found = [part_of(block, format_tool) for block in message.content]
    parts = tuple(part for part in found if part is not None)
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    choice = Choice(
        parts=parts,
        stop=stop_of(message.stop_reason, has_calls=has_calls),
        stop_sequence=message.stop_sequence,
    )
    return WholeAnswer(choices=(choice,), id=message.id, usage=read_usage(message.usage))


def invalid(message: str) -> BadAnswer:
    """Return the exception for what is no answer."""
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))

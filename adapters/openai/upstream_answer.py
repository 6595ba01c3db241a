"""A `chat.completion`, read into the middle.

Imitators of OpenAI are many and loose, so a field of a strange form costs that field and not the answer;
without choices there is no answer.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from adapters.dialect import BadAnswer, Failure, FailureKind
from adapters.middle.answer import Choice, StopReason, WholeAnswer
from adapters.middle.arguments import as_object
from adapters.middle.conversation import Part, Reasoning, Refusal, Text, ToolCall
from adapters.openai.error import classify_object
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, check_utf8
from adapters.openai.usage import read_usage

_STOPS: Final[dict[str, StopReason]] = {
    "stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "model_length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | None = None


class _Call(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None


class _TextPart(msgspec.Struct):
    text: str = ""


class _Message(msgspec.Struct):
    content: str | list[_TextPart] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    id: str | None = None
    created: int | float | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode


def read_answer(body: bytes) -> WholeAnswer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none, or holds an error."""
    try:
        check_utf8(body)
        answer = _decode_answer(body)
    except UNREADABLE as error:
        raise _invalid(f"The provider's answer cannot be read: {error}") from None
    if answer.error not in FALSY:
        raise BadAnswer(classify_object(answer.error))
    if answer.choices is None:
        raise _invalid("The provider's answer has no 'choices'.")
    return WholeAnswer(
        choices=tuple(_choice(choice) for choice in answer.choices),
        id=answer.id or None,
        created=None if answer.created is None else int(answer.created),
        usage=read_usage(answer.usage),
    )


def stop_of(finish_reason: str | None, *, has_calls: bool) -> StopReason:
    """Return why a choice ended; an unknown reason counts as a plain end."""
    stop = _STOPS.get(finish_reason or "stop", "stop")
    return "tool_calls" if stop == "stop" and has_calls else stop


def _choice(choice: _Choice) -> Choice:
    parts = tuple(_parts(choice.message))
    has_calls = any(isinstance(part, ToolCall) for part in parts)
    return Choice(parts=parts, stop=stop_of(choice.finish_reason, has_calls=has_calls))


def _parts(message: _Message) -> Iterator[Part]:
    thought = message.reasoning_content or message.reasoning
    if thought:
        yield Reasoning(text=thought)
    if isinstance(message.content, str):
        if message.content:
            yield Text(text=message.content)
    else:
        yield from (Text(text=part.text) for part in message.content or () if part.text)
    if message.refusal:
        yield Refusal(text=message.refusal)
    for index, call in enumerate(message.tool_calls or ()):
        if call.function is not None:
            yield ToolCall(
                id=call.id or f"call_{index}",
                name=call.function.name,
                arguments=as_object(call.function.arguments or ""),
            )


def _invalid(message: str) -> BadAnswer:
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))

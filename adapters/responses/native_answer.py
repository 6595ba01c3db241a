"""Whole responses, passed on: checked, given the gateway's model id, usage read."""

from typing import Annotated, Final

import msgspec

from adapters.dialect import Answer, BadAnswer, Failure, FailureKind, Target, Usage
from adapters.openai.error import classify_object
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, check_utf8, starts_with
from adapters.openai.rewrite import with_model

_Count = Annotated[int, msgspec.Meta(ge=0)]


class ResponseView(msgspec.Struct):
    """What is read of a `response` object."""

    model: str | None = None
    output: msgspec.Raw = NULL
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


class _InputDetails(msgspec.Struct):
    cached_tokens: _Count | None = None
    cache_write_tokens: _Count | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: _Count | None = None


class _UsageView(msgspec.Struct):
    input_tokens: _Count
    output_tokens: _Count
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


decode_view: Final = msgspec.json.Decoder(ResponseView).decode
_decode_usage: Final = msgspec.json.Decoder(_UsageView).decode


def decode_answer(target: Target, body: bytes) -> Answer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none, or holds an error."""
    try:
        check_utf8(body)
        view = decode_view(body)
    except UNREADABLE as error:
        raise _invalid(f"The provider's answer cannot be read: {error}") from None
    if view.error not in FALSY:
        raise BadAnswer(classify_object(view.error))
    if not starts_with(view.output, b"["):
        raise _invalid("The provider's answer has no 'output'.")
    usage = read_usage(view.usage)
    told = usage is not None and usage.output_tokens > 0
    body = with_model(body, target.served_model, view.model)
    return Answer(body, usage, 0 if told else max(0, len(view.output) - 2))


def read_usage(usage: msgspec.Raw) -> Usage | None:
    """Read the JSON of a `usage` field; `None` where it is missing or strange, which is no error."""
    try:
        view = _decode_usage(usage)
    except UNREADABLE:
        return None
    read, written = view.input_tokens_details, view.output_tokens_details
    return Usage(
        input_tokens=view.input_tokens,
        output_tokens=view.output_tokens,
        cached_tokens=(read.cached_tokens or 0) if read else 0,
        cache_write_tokens=(read.cache_write_tokens or 0) if read else 0,
        reasoning_tokens=(written.reasoning_tokens or 0) if written else 0,
    )


def _invalid(message: str) -> BadAnswer:
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))

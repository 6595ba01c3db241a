"""Whole answers in Anthropic's dialect, passed on: checked, given the gateway's model id, usage read."""

from typing import Final

import msgspec

from adapters.anthropic.error import classify_object
from adapters.anthropic.upstream_answer import invalid
from adapters.anthropic.usage import read_usage
from adapters.dialect import Answer, BadAnswer, Target
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, check_utf8, starts_with
from adapters.openai.rewrite import with_model


class _AnswerView(msgspec.Struct):
    model: str | None = None
    content: msgspec.Raw = NULL
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decode_view: Final = msgspec.json.Decoder(_AnswerView).decode


def decode_answer(target: Target, body: bytes) -> Answer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none, or holds an error."""
    try:
        check_utf8(body)
        view = _decode_view(body)
    except UNREADABLE as error:
        raise invalid(f"The provider's answer cannot be read: {error}") from None
    if view.error not in FALSY:
        raise BadAnswer(classify_object(view.error))
    if not starts_with(view.content, b"["):
        raise invalid("The provider's answer has no 'content'.")
    usage = read_usage(view.usage)
    told = usage is not None and usage.output_tokens > 0
    body = with_model(body, target.served_model, view.model)
    return Answer(body, usage, 0 if told else max(0, len(view.content) - 2))

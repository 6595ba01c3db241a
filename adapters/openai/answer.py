"""Whole answers in OpenAI's dialect: checked, given the gateway's model id, usage read.

An answer passes through as it came but for `model`. Only embeddings may change form, see
`adapters.openai.embedding`.
"""

from typing import Final

import msgspec

from adapters.dialect import Answer, BadAnswer, Call, Failure, FailureKind, Target
from adapters.openai.chunk import Choice, Delta
from adapters.openai.embedding import in_asked_form
from adapters.openai.error import classify_object
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, check_utf8, starts_with
from adapters.openai.rewrite import with_fields, with_model
from adapters.openai.usage import UsageView, usage_in, view_usage


class _WholeChoice(msgspec.Struct):
    """One choice of a whole answer: its message is all that a stream brings in deltas."""

    message: Delta | None = None
    text: msgspec.Raw = NULL

    def output_bytes(self) -> int:
        return Choice(delta=self.message, text=self.text).output_bytes()


class _AnswerView(msgspec.Struct):
    model: str | None = None
    usage: UsageView | None = None
    error: msgspec.Raw = NULL
    choices: msgspec.Raw = NULL
    data: msgspec.Raw = NULL


class _WithStrangeUsage(msgspec.Struct):
    model: str | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL
    choices: msgspec.Raw = NULL
    data: msgspec.Raw = NULL


_decode_view: Final = msgspec.json.Decoder(_AnswerView).decode
_decode_strange: Final = msgspec.json.Decoder(_WithStrangeUsage).decode
_decode_choices: Final = msgspec.json.Decoder(list[_WholeChoice]).decode


def decode_answer(call: Call, target: Target, body: bytes) -> Answer:
    """Read the body of a 200 answer. Raises `BadAnswer` when it is none, or holds an error."""
    try:
        check_utf8(body)
        view = _view(body)
        if view.error not in FALSY:
            raise BadAnswer(classify_object(view.error))
        if call.endpoint == "embeddings":
            data = in_asked_form(call, view.data)
            body = body if data is None else with_fields(body, {"data": data})
        elif not starts_with(view.choices, b"["):
            raise _invalid("The provider's answer has no 'choices'.")
        body = with_model(body, target.served_model, view.model)
    except UNREADABLE as error:
        raise _invalid(f"The provider's answer cannot be read: {error}") from None
    usage = None if view.usage is None else usage_in(view.usage)
    told = (usage is not None and usage.output_tokens > 0) or call.endpoint == "embeddings"
    return Answer(body, usage, 0 if told else _output_bytes(view.choices))


def _view(body: bytes) -> _AnswerView:
    """Read an answer. Raises what is `UNREADABLE`; a usage in no known form is none."""
    try:
        return _decode_view(body)
    except msgspec.ValidationError:
        view = _decode_strange(body)
        usage = view_usage(view.usage)
        return _AnswerView(view.model, usage, view.error, view.choices, view.data)


def _output_bytes(choices: msgspec.Raw) -> int:
    """Return about how much the choices say, to count tokens by where nobody told them."""
    try:
        return sum(choice.output_bytes() for choice in _decode_choices(choices))
    except UNREADABLE:
        return max(0, len(choices) - 2)


def _invalid(message: str) -> BadAnswer:
    return BadAnswer(Failure(kind=FailureKind.INVALID, status=200, message=message))

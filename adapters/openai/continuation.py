"""Going on with an answer that broke off: the request for the rest, and the rest as the client sees it.

The request is the client's own, with one more message: the assistant's, holding the text so far. A model
that takes such a *prefill* writes on from its last character. Of its stream the client gets what is new and
nothing twice: no second role, no text that is there already, the id and the model's name of the stream
that it has been reading.

The client's usage says what was produced for it, once: the output of both parts, and the input of the first.
What the first provider had no time to tell is counted: a token for each delta of text, which the rescuer has
read as part of its input, and which is therefore taken from there. Their sum stays as the rescuer told it.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.dialect import Beginning, Call, Usage
from adapters.openai.chunk import Choice
from adapters.openai.echo import Echo
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, starts_with
from adapters.openai.rewrite import with_fields

_PLAIN: Final = ("text", None)
_LIMITS: Final = ("max_tokens", "max_completion_tokens")


class _Format(msgspec.Struct):
    type: str | None = None


class _Role(msgspec.Struct):
    role: str | None = None


_decode_format: Final = msgspec.json.Decoder(_Format).decode
_decode_messages: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_role: Final = msgspec.json.Decoder(_Role).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_delta: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_decode_int: Final = msgspec.json.Decoder(int).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_choices: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_encode: Final = msgspec.json.encode


def can_be_continued(call: Call) -> bool:
    """Tell whether the answer to a call could be gone on with if its stream broke in plain text.

    One chat stream of one choice. Not with log probabilities, which would miss those of the seam; nor
    with a structured form, which a model keeps only from the start.
    """
    return (
        call.stream
        and call.endpoint == "chat"
        and call.choices == 1
        and call.beginning is None
        and call.fields.get("logprobs", NULL) in FALSY
        and _is_free_text(call.fields.get("response_format", NULL))
    )


def continue_call(call: Call, beginning: Beginning) -> Call | None:
    """Return the call for the rest of an answer, `None` where nobody should be asked for it.

    A conversation that ends with the assistant's own words is left alone: whether the first provider
    went on with them or answered them cannot be known. So is an answer that has used up its token limit.
    """
    fields = dict(call.fields)
    for name in _LIMITS:
        if fields.get(name, NULL) != NULL:
            left = _decode_int(fields[name]) - beginning.output_tokens
            if left < 1:
                return None
            fields[name] = msgspec.Raw(_encode(left))
    try:
        role = _decode_role(_decode_messages(fields["messages"])[-1]).role
    except UNREADABLE:
        return None
    if role == "assistant":
        return None
    return msgspec.structs.replace(call, fields=fields, keeps_beginning=False, beginning=beginning)


def with_prefill(messages: msgspec.Raw, text: msgspec.Raw, *, marked: bool) -> msgspec.Raw:
    """Return the messages and after them the assistant's text so far; the others keep their own bytes.

    `marked`: say in the message itself that the answer goes on from it.
    """
    mark = b',"prefix":true' if marked else b""
    last = b'{"role":"assistant","content":' + bytes(text) + mark + b"}"
    return msgspec.Raw(_encode([*_decode_messages(messages), msgspec.Raw(last)]))


class Continuation:
    """The rest of one answer, chunk by chunk. `echoes`: the provider is known to repeat the beginning."""

    def __init__(self, beginning: Beginning, *, echoes: bool) -> None:
        self._beginning = beginning
        self._echo = Echo(_decode_text(beginning.text), expected=echoes)

    def rewrite(self, data: bytes, choices: Sequence[Choice]) -> bytes:
        """Return a chunk as the client should see it, empty where it says nothing new.

        `choices` are the chunk's, as they were read; their text is brought up to date.
        """
        raws = _decode_choices(_decode_fields(data)["choices"])
        repeats = [self._repeats(*pair) for pair in zip(raws, choices, strict=True)]
        if all(repeats):
            return b""
        return with_fields(data, {**self._beginning.members, "choices": msgspec.Raw(_encode(raws))})

    def whole_usage(self, rest: Usage) -> Usage:
        """Return the usage of the whole answer; `rest` is what the rescuer told of its own part."""
        produced, told = self._beginning.output_tokens, self._beginning.usage
        read = told.input_tokens if told is not None else 0
        # An echo was written by the rescuer, and is the text that the first part counts already.
        echoed = produced if self._echo.was_dropped else 0
        estimated = not read
        if estimated:
            read = max(0, rest.input_tokens - produced)
        return Usage(
            input_tokens=read,
            output_tokens=produced + max(0, rest.output_tokens - echoed),
            cached_tokens=min(rest.cached_tokens, read),
            reasoning_tokens=rest.reasoning_tokens,
            estimated=estimated,
        )

    def with_usage(self, data: bytes, usage: msgspec.Raw, whole: Usage) -> bytes:
        """Return a chunk with the usage of the whole answer in place of its own; details stay."""
        counts = {
            "prompt_tokens": whole.input_tokens,
            "completion_tokens": whole.output_tokens,
            "total_tokens": whole.input_tokens + whole.output_tokens,
        }
        changed = with_fields(
            bytes(usage), {name: msgspec.Raw(_encode(count)) for name, count in counts.items()}
        )
        return with_fields(data, {**self._beginning.members, "usage": msgspec.Raw(changed)})

    def _repeats(self, raw: dict[str, msgspec.Raw], choice: Choice) -> bool:
        """Take out of a choice what the client has; return whether that was all of it."""
        delta = _decode_delta(raw.get("delta", NULL)) or {}
        repeats = delta.pop("role", None) is not None
        text = ""
        if choice.delta is not None and starts_with(choice.delta.content, b'"'):
            repeats = True
            text = self._echo.without(_decode_text(choice.delta.content))
            delta["content"] = choice.delta.content = msgspec.Raw(_encode(text))
        if choice.is_finished() or choice.has_output():
            text += self._echo.release()
            if text:
                delta["content"] = msgspec.Raw(_encode(text))
        raw["delta"] = msgspec.Raw(_encode(delta))
        return repeats and not (choice.is_finished() or choice.has_output())


def _is_free_text(response_format: msgspec.Raw) -> bool:
    try:
        return response_format == NULL or _decode_format(response_format).type in _PLAIN
    except UNREADABLE:
        return False

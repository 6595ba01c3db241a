"""Going on with an answer that broke off, where client and provider both speak OpenAI's dialect.

The request is the client's own, with the text so far as its last message (see `adapters.continuing`). Of the
rescuer's stream the client gets what is new and nothing twice: no second role, no text that is there already,
the id and the model's name of the stream that it has been reading. Its usage is that of the whole answer (see
`adapters.middle.whole_usage`).
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.dialect import Beginning, Usage
from adapters.middle.echo import Echo
from adapters.middle.whole_usage import whole_usage
from adapters.openai.chunk import Choice
from adapters.openai.foreign import NULL, starts_with
from adapters.openai.rewrite import with_fields

_decode_messages: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_decode_delta: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_choices: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_encode: Final = msgspec.json.encode


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
        return whole_usage(self._beginning, rest, echoed=self._echo.was_dropped)

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

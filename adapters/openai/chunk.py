"""One chunk of OpenAI's streams: what is read of it, and how its choices are mended.

Only what the gateway must know is decoded; what it merely looks at stays `msgspec.Raw`. Upstreams are
many and loose, so a field of a strange form must not cost the client the whole chunk.
"""

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from adapters.openai.foreign import ABSENT, EMPTY, FALSY, NULL
from adapters.openai.rewrite import with_fields

_ASSISTANT: Final = msgspec.Raw(b'"assistant"')


class Delta(msgspec.Struct):
    """What a chunk adds to one choice."""

    role: msgspec.Raw = NULL
    content: msgspec.Raw = NULL
    tool_calls: msgspec.Raw = NULL
    reasoning_content: msgspec.Raw = NULL
    reasoning: msgspec.Raw = NULL
    reasoning_details: msgspec.Raw = NULL
    refusal: msgspec.Raw = NULL
    audio: msgspec.Raw = NULL
    function_call: msgspec.Raw = NULL

    def output_bytes(self) -> int:
        """Return about how much JSON this delta says, 0 where a client would not miss it."""
        if self.content not in EMPTY:
            return _size(self.content)
        if not self.has_more_than_text():
            return 0
        return (
            sum(
                _size(said)
                for said in (
                    self.tool_calls,
                    self.reasoning_content if self.reasoning in EMPTY else self.reasoning,
                    self.refusal,
                    self.function_call,
                )
                if said not in EMPTY
            )
            or 1
        )

    def has_more_than_text(self) -> bool:
        """Whether there is output of another kind than text."""
        return (
            self.tool_calls not in EMPTY
            or self.reasoning_content not in EMPTY
            or self.reasoning not in EMPTY
            or self.reasoning_details not in EMPTY
            or self.refusal not in EMPTY
            or self.audio not in EMPTY
            or self.function_call not in EMPTY
        )


class Choice(msgspec.Struct):
    """One choice of a chunk; `text` is the legacy completions' delta."""

    index: int | None = None
    delta: Delta | None = None
    text: msgspec.Raw = NULL
    finish_reason: msgspec.Raw = NULL

    def output_bytes(self) -> int:
        """Return about how much JSON this choice says, 0 where a client would not miss it."""
        if self.text not in EMPTY:
            return _size(self.text)
        return self.delta.output_bytes() if self.delta is not None else 0

    def has_output(self) -> bool:
        """Whether a client would miss this choice."""
        return self.output_bytes() > 0

    def only_text(self) -> bytes | None:
        """Return the JSON of the text or thought that is all this choice says; `None` if it is not."""
        delta = self.delta or Delta()
        texts = (self.text, delta.content, delta.reasoning_content, delta.reasoning)
        said = [bytes(text) for text in texts if text not in EMPTY]
        others = (delta.tool_calls, delta.reasoning_details, delta.refusal, delta.audio)
        says_more = any(other not in EMPTY for other in (*others, delta.function_call))
        if says_more or self.is_finished() or len(said) != 1 or said[0][:1] != b'"':
            return None
        return said[0]

    def is_plain_text(self) -> bool:
        """Whether this is the only choice of a chat, not yet finished, and says text or nothing."""
        return (
            not self.index
            and not self.is_finished()
            and self.text in EMPTY
            and (self.delta is None or not self.delta.has_more_than_text())
        )

    def is_finished(self) -> bool:
        """Whether the choice ends here. Some upstreams write an empty reason until it does."""
        return self.finish_reason not in FALSY


class Chunk(msgspec.Struct):
    """One chunk. `choices` is `None` where the key is missing: then it may be no chunk at all."""

    choices: list[Choice] | None = None
    model: str | None = None
    usage: msgspec.Raw = ABSENT
    error: msgspec.Raw = NULL


def _size(said: msgspec.Raw) -> int:
    """Return the bytes between the quotes or brackets of what was said, at least 1."""
    return max(1, len(said) - 2)


class Mend(msgspec.Struct, frozen=True):
    """What is to be mended in one choice: a missing role or delta, a finish reason that was told before."""

    role: bool
    delta: bool
    finish: bool


class Shape(msgspec.Struct):
    """What tells a chunk from another object."""

    object: msgspec.Raw = NULL
    error: msgspec.Raw = NULL

    def kind(self) -> Literal["chunk", "error", "unnamed", "other"]:
        """Return what the object calls itself."""
        return _KINDS.get(bytes(self.object), "other")


_KINDS: Final[dict[bytes, Literal["chunk", "error", "unnamed"]]] = {
    b'"chat.completion.chunk"': "chunk",
    b'"text_completion"': "chunk",
    b'"error"': "error",
    b'""': "unnamed",
    b"null": "unnamed",
}

decode_chunk: Final = msgspec.json.Decoder(Chunk).decode
decode_shape: Final = msgspec.json.Decoder(Shape).decode
_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_delta: Final = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_decode_choices: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_encode: Final = msgspec.json.encode


def with_mended_choices(data: bytes, mends: Sequence[Mend | None]) -> bytes:
    """Mend the choices of a chunk, one entry a choice; all that needs no mending keeps its own bytes."""
    choices = _decode_choices(_decode_fields(data)["choices"])
    for choice, mend in zip(choices, mends, strict=True):
        if mend is not None:
            _mend(choice, mend)
    return with_fields(data, {"choices": msgspec.Raw(_encode(choices))})


def _mend(choice: dict[str, msgspec.Raw], mend: Mend) -> None:
    if mend.finish:
        choice["finish_reason"] = NULL
    if mend.role or mend.delta:
        delta = _decode_delta(choice.get("delta", NULL)) or {}
        if mend.role:
            delta["role"] = _ASSISTANT
        choice["delta"] = msgspec.Raw(_encode(delta))

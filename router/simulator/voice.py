"""How answers are said in a dialect: what chat and legacy completions share.

A stream repeats everything but one token in each of its events. So its JSON is encoded once, with a hole,
and each event is made of the part before, the token, and the part after: measured at a fifth of the time
that encoding the whole chunk takes.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol, Self

import msgspec

from router.simulator.choices import Choice
from router.simulator.usage import Usage

_HOLE: Final = b"\0"
HOLE: Final = msgspec.Raw(_HOLE)
"""Stands for the token in a template. No byte of encoded JSON is zero, so it cannot be mistaken."""
_encoder: Final = msgspec.json.Encoder()


class Template(NamedTuple):
    """Encoded JSON around a hole."""

    before: bytes
    after: bytes

    @classmethod
    def around(cls, encoded: bytes) -> Self:
        """The two sides of the hole in this JSON."""
        before, _, after = encoded.partition(_HOLE)
        return cls(before, after)

    def fill(self, text: str) -> bytes:
        """The JSON with this text, quoted and escaped, in the hole."""
        return self.before + _encoder.encode(text) + self.after


class Identity(msgspec.Struct, frozen=True):
    """What every part of one answer repeats; `extra` is laid over each of them.

    `usage_null` makes chunks carry `usage: null`, which they do when the client asked for usage.
    """

    id: str
    created: int
    model: str
    system_fingerprint: str
    extra: dict[str, Any]
    usage_null: bool

    def part(self, kind: str, choices: list[Any], usage: Usage | None) -> dict[str, Any]:
        """A chunk or a whole answer; `kind` is its `object`."""
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.system_fingerprint,
            "choices": choices,
            **({"usage": usage} if usage is not None or self.usage_null else {}),
            **self.extra,
        }

    def chunk(self, kind: str, choices: list[Any], usage: Usage | None = None) -> bytes:
        """A chunk as JSON."""
        return _encoder.encode(self.part(kind, choices, usage))

    def template(self, kind: str, choice: dict[str, Any]) -> Template:
        """A chunk with one choice which contains the hole."""
        return Template.around(self.chunk(kind, [choice]))


class Voice(Protocol):
    """One dialect's way to say choices. Chunks are JSON, without the lines of the event stream."""

    def whole(self, choices: Sequence[Choice], usage: Usage) -> dict[str, Any]:
        """The answer that is not streamed."""

    def openings(self, choices: Sequence[Choice]) -> Iterator[bytes]:
        """The chunks before the first token."""

    def beats(self, choice: Choice) -> Iterator[Sequence[bytes]]:
        """For each token the chunks that bring it."""

    def finish(self, choice: Choice, usage: Usage | None) -> Sequence[bytes]:
        """The chunks with the finish reason; `usage` is for them, if given."""

    def closing(self, usage: Usage) -> bytes:
        """The chunk that brings nothing but usage."""

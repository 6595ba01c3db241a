"""The beginning of an answer, kept while its stream is relayed, in case the stream breaks.

Kept are the text's pieces in their own JSON, and the fields that every chunk of the stream repeats. Only
plain text can be gone on with: once a tool call, reasoning, a refusal or sound was said, once the choice has
its finish reason, or once the text outgrows its bound, there is no beginning any more and nothing is kept.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from adapters.dialect import Beginning, Usage
from adapters.middle.beginning import MAX_TEXT_BYTES
from adapters.openai.chunk import Choice
from adapters.openai.foreign import EMPTY
from adapters.openai.rewrite import name_field

_SHARED: Final[tuple[str, ...]] = ("id", "created")

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode: Final = msgspec.json.encode


class BeginningKeeper:
    """Keeps the beginning of one stream. `served_model` is the id that its chunks carry."""

    def __init__(self, served_model: str) -> None:
        self._served_model = served_model
        self._members: dict[str, msgspec.Raw] = {}
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._lost = False

    def note(self, data: bytes, choices: Sequence[Choice]) -> None:
        """Note a chunk that is handed out, and its choices."""
        if self._lost:
            return
        if not self._members:
            self._members = self._shared_members(data)
        for choice in choices:
            self._note(choice)

    def note_text(self, text: bytes) -> None:
        """Note the JSON of more text, of a chunk like one that was noted."""
        if not self._lost:
            self._keep(text)

    def beginning(self, usage: Usage | None) -> Beginning | None:
        """Return what was handed out, if it is text to go on with; `usage` is what was told so far."""
        if self._lost or not self._pieces:
            return None
        told = usage.output_tokens if usage is not None else 0
        return Beginning(
            text=msgspec.Raw(b'"' + b"".join(self._pieces) + b'"'),
            output_tokens=max(len(self._pieces), told),
            usage=usage,
            members=self._members,
        )

    def _shared_members(self, data: bytes) -> dict[str, msgspec.Raw]:
        fields = _decode_fields(data)
        shared = {name: msgspec.Raw(bytes(fields[name])) for name in _SHARED if name in fields}
        return {**shared, "model": name_field(self._served_model)}

    def _note(self, choice: Choice) -> None:
        if not choice.is_plain_text():
            self._give_up()
        elif choice.delta is not None and choice.delta.content not in EMPTY:
            self._keep(bytes(choice.delta.content))

    def _keep(self, content: bytes) -> None:
        self._bytes += len(content)
        if not content.startswith(b'"') or self._bytes > MAX_TEXT_BYTES:
            self._give_up()
        else:
            self._pieces.append(content[1:-1])

    def _give_up(self) -> None:
        self._lost = True
        self._pieces.clear()

"""The items of a streamed response while they grow, and what they are in the end."""

from collections.abc import Sequence

import msgspec

from adapters.middle.conversation import Reasoning, Refusal, Text, ToolCall
from adapters.middle.event import PartBegun
from adapters.responses.output import (
    ItemKind,
    Json,
    Status,
    call_item,
    content,
    message_item,
    reasoning_item,
)
from adapters.responses.tools import Offer


class GrowingPart(msgspec.Struct):
    """A part of the answer. `item` and `place`: where the client has it, once it has begun there."""

    begun: PartBegun
    pieces: list[str] = []
    signature: str | None = None
    item: "GrowingItem | None" = None
    place: int = 0

    @property
    def text(self) -> str:
        """What was said so far."""
        return "".join(self.pieces)

    def as_call(self, arguments: str) -> ToolCall:
        """Return the call of a part that is one."""
        begun = self.begun
        return ToolCall(
            id=begun.id or f"call_{begun.part}",
            name=begun.name or "",
            arguments=arguments,
            signature=self.signature,
        )

    def as_reasoning(self) -> Reasoning:
        """Return the reasoning of a part that is some."""
        if self.begun.kind == "redacted":
            return Reasoning(redacted=self.text, signature=self.signature)
        return Reasoning(text=self.text, signature=self.signature)

    def as_words(self, text: str) -> Text | Refusal:
        """Return the words of a part that is a text or a refusal."""
        return Refusal(text=text) if self.begun.kind == "refusal" else Text(text=text)


class GrowingItem(msgspec.Struct):
    """An item of the output. `growing`: how many of its parts have not ended."""

    id: str
    kind: ItemKind
    index: int
    parts: list[GrowingPart] = []
    growing: int = 0
    status: Status = "in_progress"

    @property
    def is_done(self) -> bool:
        """Whether the client was told that it is whole, or as whole as it will be."""
        return self.status != "in_progress"

    def begun(self, part: GrowingPart, offer: Offer) -> Json:
        """Return the item as it begins with this part: with its name, and empty."""
        return self._fields((), part, offer)

    def fields(self, offer: Offer) -> Json:
        """Return the item as it stands."""
        return self._fields(self.parts, self.parts[0], offer)

    def _fields(self, parts: Sequence[GrowingPart], first: GrowingPart, offer: Offer) -> Json:
        match self.kind:
            case "message":
                contents = [content(part.as_words(part.text)) for part in parts]
                return message_item(self.id, contents, self.status)
            case "reasoning":
                reasoning = first.as_reasoning() if parts else Reasoning()
                return reasoning_item(self.id, reasoning, self.status)
        call = first.as_call(first.text if parts else "")
        return call_item(self.id, call, offer, self.status)

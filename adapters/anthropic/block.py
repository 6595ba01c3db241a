"""One block of an answer, as Anthropic writes it whole or begins it in a stream."""

from typing import Final

import msgspec

from adapters.middle.arguments import NO_ARGUMENTS
from adapters.middle.conversation import Part, Reasoning, Text, ToolCall
from adapters.middle.signature import ANTHROPIC, owned
from adapters.openai.foreign import NULL

_EMPTY_INPUTS: Final = (NULL, msgspec.Raw(b"{}"), msgspec.Raw(b""))


class Block(msgspec.Struct):
    """A block of any type; what its type does not have is absent, and may be null with imitators."""

    type: str
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = NULL

    def arguments(self) -> str:
        """Return a call's input as JSON."""
        return NO_ARGUMENTS if self.input in _EMPTY_INPUTS else bytes(self.input).decode()


def part_of(block: Block, format_tool: str | None) -> Part | None:
    """Return the part that a block is, `None` for one that says nothing to a client of another face.

    `format_tool`: the tool whose input is the answer's text. Blocks of tools that run at the provider are
    told in the text that follows them.
    """
    match block.type:
        case "text" if block.text:
            return Text(text=block.text)
        case "thinking":
            signature = owned(ANTHROPIC, block.signature) if block.signature else None
            return Reasoning(text=block.thinking or "", signature=signature)
        case "redacted_thinking":
            return Reasoning(redacted=owned(ANTHROPIC, block.data or ""))
        case "tool_use" if block.name == format_tool:
            return Text(text=block.arguments())
        case "tool_use":
            return ToolCall(id=block.id or "", name=block.name or "", arguments=block.arguments())
    return None

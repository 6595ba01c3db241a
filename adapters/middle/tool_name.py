"""Names of functions, as each provider takes them.

A client may call its functions what its own dialect allows, and its provider may allow less. A name that is
not taken becomes one that is: its signs are replaced, and a digest of the whole name follows, so that it is
the same in every turn. What the model calls goes back to the client under the client's own name.

No two functions of one conversation ever get the same name: one that is taken keeps it, and where a made one
meets it another digest is tried.
"""

import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Final

import msgspec

from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import Conversation, Part, ToolCall, ToolResult, Turn
from adapters.middle.event import MiddleEvent, PartBegun

_DIGEST_SIGNS: Final = 8


class NameRule(msgspec.Struct, frozen=True, kw_only=True):
    """What a name may be: of `signs`, a set in the form of regular expressions, at most `longest` of them.

    `first`: the set of those with which it may begin, where that is a smaller one.
    """

    signs: str
    longest: int
    first: str | None = None

    def takes(self, name: str) -> bool:
        """Tell whether a name may be sent as it is."""
        pattern = rf"[{self.first or self.signs}][{self.signs}]{{0,{self.longest - 1}}}"
        return re.fullmatch(pattern, name, re.ASCII) is not None

    def made_of(self, name: str, attempt: int = 0) -> str:
        """Return a name that may be sent in place of one that may not. Each `attempt` gives another."""
        origin = name if attempt == 0 else f"{attempt}/{name}"
        digest = sha256(origin.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_SIGNS]
        plain = re.sub(rf"[^{self.signs}]", "_", name, flags=re.ASCII)
        if not re.match(rf"[{self.first or self.signs}]", plain, re.ASCII):
            plain = f"_{plain}"
        return f"{plain[: self.longest - _DIGEST_SIGNS - 1]}_{digest}"


class ToolNames:
    """The names of one conversation, there and back."""

    def __init__(self, conversation: Conversation, rule: NameRule) -> None:
        names = dict.fromkeys(_names_in(conversation))
        foreign = [name for name in names if not rule.takes(name)]
        taken = names.keys() - set(foreign)
        self._sent: dict[str, str] = {}
        for name in foreign:
            attempt = 0
            while (made := rule.made_of(name, attempt)) in taken:
                attempt += 1
            taken.add(made)
            self._sent[name] = made
        self._original = {made: name for name, made in self._sent.items()}

    def written(self, conversation: Conversation) -> Conversation:
        """Return the conversation with the names that its provider takes."""
        if not self._sent:
            return conversation
        choice = conversation.tool_choice
        if choice is not None and choice.name is not None:
            choice = msgspec.structs.replace(choice, name=self._written(choice.name))
        return msgspec.structs.replace(
            conversation,
            tools=tuple(
                msgspec.structs.replace(tool, name=self._written(tool.name))
                for tool in conversation.tools
            ),
            turns=tuple(
                Turn(turn.role, tuple(self._written_part(part) for part in turn.parts))
                for turn in conversation.turns
            ),
            tool_choice=choice,
        )

    def read_answer(self, answer: WholeAnswer) -> WholeAnswer:
        """Return the answer with the client's own names."""
        if not self._sent:
            return answer
        choices = tuple(self._read_choice(choice) for choice in answer.choices)
        return msgspec.structs.replace(answer, choices=choices)

    def read_event(self, event: MiddleEvent) -> MiddleEvent:
        """Return the event with the client's own name, if it holds one."""
        if isinstance(event, PartBegun) and event.name in self._original:
            return msgspec.structs.replace(event, name=self._original[event.name])
        return event

    def _written(self, name: str) -> str:
        return self._sent.get(name, name)

    def _written_part(self, part: Part) -> Part:
        if isinstance(part, ToolCall | ToolResult):
            return msgspec.structs.replace(part, name=self._written(part.name))
        return part

    def _read_choice(self, choice: Choice) -> Choice:
        parts = tuple(
            msgspec.structs.replace(part, name=self._original.get(part.name, part.name))
            if isinstance(part, ToolCall)
            else part
            for part in choice.parts
        )
        return msgspec.structs.replace(choice, parts=parts)


def _names_in(conversation: Conversation) -> Iterator[str]:
    for tool in conversation.tools:
        yield tool.name
    if conversation.tool_choice is not None and conversation.tool_choice.name is not None:
        yield conversation.tool_choice.name
    for turn in conversation.turns:
        for part in turn.parts:
            if isinstance(part, ToolCall | ToolResult):
                yield part.name

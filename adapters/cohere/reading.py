"""One answer of Cohere as the story that the middle tells.

A whole answer and a stream are told by the same steps. The plan for its calls, which Cohere keeps apart, is
reasoning; so is thinking. One part is open at a time, for Cohere says one thing after the other.
"""

from typing import Final, Literal

import msgspec

from adapters.cohere.error import broken_off
from adapters.cohere.usage import read_usage
from adapters.cohere.wire import Call, Content, Event, Response
from adapters.middle.answer import StopReason
from adapters.middle.conversation import Conversation
from adapters.middle.event import (
    Alive,
    Begun,
    Ended,
    Failed,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    PartKind,
    Stopped,
    UsageTold,
)
from adapters.middle.format_tool import format_tool_name

_BROKEN: Final = frozenset({"ERROR", "TIMEOUT"})
_STOPS: Final[dict[str, StopReason]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "TOOL_CALL": "tool_calls",
    "MAX_TOKENS": "length",
}


def told(conversation: Conversation, response: Response) -> list[MiddleEvent]:
    """Return what a whole answer tells."""
    story = Story(conversation)
    events: list[MiddleEvent] = [Begun(id=response.id)]
    message = response.message
    if message is not None:
        events += story.say("reasoning", message.tool_plan)
        for block in message.content or ():
            events += story.block(block)
        for call in message.tool_calls or ():
            events += [*story.call(call), *story.close()]
    if response.finish_reason is None:
        return events
    return [*events, *story.end(response.finish_reason, response.usage)]


class Story:
    """The telling of one answer: its parts are numbered as they begin."""

    def __init__(self, conversation: Conversation) -> None:
        self._format_tool = format_tool_name(conversation)
        self._begun = 0
        self._open: PartKind | None = None
        self._empty = True
        self._owes_object = False
        self._called = False

    def take(self, event: Event) -> list[MiddleEvent]:
        """Return what an event of a stream tells, its start aside."""
        piece = event.delta.message
        events: list[MiddleEvent] = []
        match event.type:
            case "message-end":
                delta = event.delta
                return self.end(delta.finish_reason, delta.usage, message=delta.error)
            case "content-end" | "tool-call-end":
                events = self.close()
            case "tool-call-start" if piece is not None and piece.tool_calls is not None:
                events = self.call(piece.tool_calls)
            case "tool-call-delta" if piece is not None and piece.tool_calls is not None:
                function = piece.tool_calls.function
                events = self._grow(function.arguments if function is not None else None)
            case _ if piece is not None:
                events = self.say("reasoning", piece.tool_plan)
                events += [] if piece.content is None else self.block(piece.content)
        return events or [Alive()]

    def block(self, block: Content) -> list[MiddleEvent]:
        """Return what a block, or a piece of one, says."""
        return [*self.say("reasoning", block.thinking), *self.say("text", block.text)]

    def say(self, kind: Literal["text", "reasoning"], text: str | None) -> list[MiddleEvent]:
        """Say some text in the open part of this kind, or in a new one."""
        if not text:
            return []
        events = [] if self._open == kind else [*self.close(), self._begin(kind)]
        return [*events, *self._grow(text)]

    def call(self, call: Call) -> list[MiddleEvent]:
        """Begin a call, with as much of its arguments as is there; that of the answer's form is text."""
        function = call.function
        name = function.name if function is not None else None
        events = self.close()
        if name is not None and name == self._format_tool:
            events.append(self._begin("text"))
        else:
            self._called = True
            events.append(self._begin("call", call_id=call.id, name=name))
        self._owes_object = True
        return [*events, *self._grow(function.arguments if function is not None else None)]

    def close(self) -> list[MiddleEvent]:
        """End the open part; a call for which no arguments came has none."""
        if self._open is None:
            return []
        events = self._grow("{}") if self._owes_object and self._empty else []
        self._open, self._owes_object = None, False
        return [*events, PartEnded(part=self._begun - 1)]

    def end(
        self, reason: str | None, usage: msgspec.Raw, *, message: str | None = None
    ) -> list[MiddleEvent]:
        """End the answer. What is not known was stopped by the provider: it counts as filtered."""
        counted = read_usage(usage)
        events: list[MiddleEvent] = [] if counted is None else [UsageTold(counted)]
        if message or reason in _BROKEN:
            return [*events, Failed(broken_off(reason or "ERROR", message))]
        stop = _STOPS.get(reason or "COMPLETE", "content_filter")
        if stop in {"stop", "tool_calls"}:
            stop = "tool_calls" if self._called else "stop"
        return [*self.close(), *events, Stopped(stop=stop), Ended()]

    def _begin(
        self, kind: PartKind, *, call_id: str | None = None, name: str | None = None
    ) -> MiddleEvent:
        self._begun += 1
        self._open = kind
        self._empty = True
        return PartBegun(part=self._begun - 1, kind=kind, id=call_id, name=name)

    def _grow(self, text: str | None) -> list[MiddleEvent]:
        if not text or self._open is None:
            return []
        self._empty = False
        return [Grown(part=self._begun - 1, text=text)]

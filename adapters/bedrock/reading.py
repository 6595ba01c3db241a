"""One answer of Converse as the story that the middle tells.

A whole answer and a stream are told by the same steps. In a stream only calls have a beginning of their own;
text and thoughts begin with their first piece. Blocks have numbers of their own, among them some that say
nothing to our clients; parts are numbered without those. The usage comes behind the end.
"""

from typing import Final

import msgspec

from adapters.anthropic.structured import format_tool_name
from adapters.bedrock.thinking import OWNER
from adapters.bedrock.usage import read_usage
from adapters.bedrock.wire import (
    Block,
    Event,
    ModelsFields,
    Reasoning,
    Response,
    ToolUse,
    decode_fragment,
)
from adapters.dialect import Failure, FailureKind
from adapters.middle.answer import StopReason
from adapters.middle.arguments import NO_ARGUMENTS
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
from adapters.middle.signature import owned
from adapters.openai.foreign import EMPTY

_STOPS: Final[dict[str, StopReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}
_SPOILED: Final = frozenset({"malformed_model_output", "malformed_tool_use"})


def told(conversation: Conversation, response: Response) -> list[MiddleEvent]:
    """Return what a whole answer tells; one that is none tells of no end."""
    story = Story(conversation)
    events: list[MiddleEvent] = []
    message = response.output.message if response.output is not None else None
    for index, block in enumerate(message.content if message is not None else ()):
        events += [*story.block(index, block), *story.close(index)]
    if response.stop_reason is not None:
        events += story.stop(response.stop_reason, response.additional_model_response_fields)
    return [Begun(), *events, *story.count(response.usage)]


def _spoiled(reason: str | None) -> Failure:
    message = f"The model's answer could not be used ({reason})."
    return Failure(kind=FailureKind.INVALID, status=200, message=message, code=reason)


class _Open(msgspec.Struct):
    """A block that has begun and is a part. `object`: its text must be a JSON object."""

    part: int
    kind: PartKind
    object: bool = False
    grown: bool = False


class Story:
    """The telling of one answer."""

    def __init__(self, conversation: Conversation) -> None:
        self._format_tool = format_tool_name(conversation)
        self._open: dict[int, _Open] = {}
        self._told = False
        self._parts = 0
        self._called = False
        self._stopped = False
        self._failed = False
        self._counted = False

    def take(self, name: str, event: Event) -> list[MiddleEvent]:
        """Return what an event of a stream tells."""
        index = event.content_block_index
        events: list[MiddleEvent] = []
        match name:
            case "contentBlockStart" if event.start is not None and event.start.tool_use:
                events = self._call(index, event.start.tool_use)
            case "contentBlockDelta" if event.delta is not None and event.delta.tool_use:
                events = self._grow_call(index, event.delta.tool_use.input)
            case "contentBlockDelta" if event.delta is not None:
                events = self.block(index, event.delta)
            case "contentBlockStop":
                events = self.close(index)
            case "messageStop":
                events = self.stop(event.stop_reason, event.additional_model_response_fields)
            case "metadata":
                events = self.count(event.usage)
        return self._first() + events or [Alive()]

    def block(self, index: int, block: Block) -> list[MiddleEvent]:
        """Return what a whole block says, or a piece of one that is no call."""
        if block.tool_use is not None:
            whole = b"" if block.tool_use.input in EMPTY else bytes(block.tool_use.input)
            events = self._call(index, block.tool_use)
            return [*events, *self._grow(index, whole.decode())] if whole else events
        if block.reasoning_content is not None:
            return self._think(index, block.reasoning_content)
        said = block.text or ""
        if block.citations_content is not None:
            said += "".join(cited.text for cited in block.citations_content.content)
        return [*self._begin(index, "text"), *self._grow(index, said)] if said else []

    def close(self, index: int) -> list[MiddleEvent]:
        """End a part; a call for which no arguments came has none."""
        state = self._open.get(index)
        if state is None:
            return []
        empty = state.object and not state.grown
        events = self._grow(index, NO_ARGUMENTS) if empty else []
        del self._open[index]
        return [*events, PartEnded(part=state.part)]

    def stop(self, reason: str | None, besides: ModelsFields | None) -> list[MiddleEvent]:
        """End the choice. What is not known was stopped by the provider: it counts as filtered."""
        if self._stopped or self._failed:
            return []
        if reason in _SPOILED:
            self._failed = True
            return [Failed(_spoiled(reason))]
        self._stopped = True
        events = [event for index in list(self._open) for event in self.close(index)]
        stop = _STOPS.get(reason or "end_turn", "content_filter")
        if stop in {"stop", "tool_calls"}:
            stop = "tool_calls" if self._called else "stop"
        sequence = besides.stop_sequence if besides is not None else None
        return [*events, Stopped(stop=stop, stop_sequence=sequence), *self._end()]

    def count(self, usage: msgspec.Raw) -> list[MiddleEvent]:
        """Tell the usage, with which a stream ends."""
        self._counted = True
        counted = read_usage(usage)
        events: list[MiddleEvent] = [] if counted is None else [UsageTold(counted)]
        return [*events, *self._end()]

    def _first(self) -> list[MiddleEvent]:
        """Begin the answer, if nothing of it was told."""
        if self._told:
            return []
        self._told = True
        return [Begun()]

    def _end(self) -> list[MiddleEvent]:
        return [Ended()] if self._stopped and self._counted else []

    def _call(self, index: int, use: ToolUse) -> list[MiddleEvent]:
        if use.type is not None:
            return []
        events = self.close(index)
        if use.name == self._format_tool:
            events += self._begin(index, "text")
        else:
            self._called = True
            events += self._begin(index, "call", call_id=use.tool_use_id, name=use.name)
        self._open[index].object = True
        return events

    def _grow_call(self, index: int, fragment: msgspec.Raw) -> list[MiddleEvent]:
        state = self._open.get(index)
        if state is None or not state.object or fragment in EMPTY:
            return []
        return self._grow(index, decode_fragment(fragment))

    def _think(self, index: int, thought: Reasoning) -> list[MiddleEvent]:
        if thought.redacted_content is not None:
            secret = owned(OWNER, thought.redacted_content)
            events = [*self.close(index), *self._begin(index, "redacted")]
            return [*events, *self._grow(index, secret)]
        whole = thought.reasoning_text
        text = (thought.text if whole is None else whole.text) or ""
        signature = thought.signature if whole is None else whole.signature
        if not text and not signature:
            return []
        events = [*self._begin(index, "reasoning"), *self._grow(index, text)]
        if signature:
            part = self._open[index].part
            events.append(Grown(part=part, signature=owned(OWNER, signature)))
        return events

    def _begin(
        self, index: int, kind: PartKind, *, call_id: str | None = None, name: str | None = None
    ) -> list[MiddleEvent]:
        """Begin a part, if the open one of this block is of another kind."""
        state = self._open.get(index)
        if state is not None and state.kind == kind:
            return []
        events = self.close(index)
        part, self._parts = self._parts, self._parts + 1
        self._open[index] = _Open(part, kind)
        return [*events, PartBegun(part=part, kind=kind, id=call_id, name=name)]

    def _grow(self, index: int, text: str) -> list[MiddleEvent]:
        if not text:
            return []
        self._open[index].grown = True
        return [Grown(part=self._open[index].part, text=text)]

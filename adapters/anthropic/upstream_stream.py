"""A stream of Anthropic's events, read into the middle.

Blocks have numbers of their own, among them some that say nothing to clients of other faces; the parts of
the middle are numbered without those. Events of unknown types are passed over, as Anthropic asks of its
clients. What an event is stands in its data; the event's name is for those who leave it out there.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from adapters.anthropic.block import Block
from adapters.anthropic.error import classify_event
from adapters.anthropic.stops import stop_of
from adapters.anthropic.structured import format_tool_name
from adapters.anthropic.usage import UsageCount
from adapters.dialect import Failure, FailureKind
from adapters.middle.arguments import NO_ARGUMENTS
from adapters.middle.conversation import Conversation
from adapters.middle.event import (
    Alive,
    Begun,
    Ended,
    Failed,
    Grown,
    Malformed,
    MiddleEvent,
    PartBegun,
    PartEnded,
    PartKind,
    Stopped,
    UsageTold,
)
from adapters.middle.signature import ANTHROPIC, owned
from adapters.openai.foreign import NULL, UNREADABLE, check_utf8
from adapters.sse import END, EventDecoder, EventTooLarge, ServerSentEvent, Signal


class _Delta(msgspec.Struct):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    signature: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Message(msgspec.Struct):
    id: str | None = None
    usage: msgspec.Raw = NULL


class _Event(msgspec.Struct):
    type: str | None = None
    message: _Message | None = None
    index: int = 0
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = NULL


class _OpenBlock(msgspec.Struct):
    """A block that has begun and is a part. `fallback`: its text where no delta brings any."""

    part: int
    fallback: str = ""
    grown: bool = False


_KINDS: Final[dict[str, PartKind]] = {
    "text": "text",
    "thinking": "reasoning",
    "redacted_thinking": "redacted",
    "tool_use": "call",
}

_decode_event: Final = msgspec.json.Decoder(_Event).decode


class MessageSource:
    """Reads one stream of events (see `adapters.middle.halves.EventSource`)."""

    def __init__(self, conversation: Conversation) -> None:
        self._events = EventDecoder()
        self._ready: deque[MiddleEvent] = deque()
        self._format_tool = format_tool_name(conversation)
        self._usage = UsageCount()
        self._open: dict[int, _OpenBlock] = {}
        self._parts = 0
        self._has_calls = False
        self._begun = False
        self._stopped = False
        self._over = False

    def receive_data(self, data: bytes) -> None:
        """Take the next bytes of the body; `b""` at its end."""
        self._events.receive_data(data)

    def next_event(self) -> MiddleEvent | Signal:
        """Return the next event, `NEED_DATA`, or `END` after the body's end."""
        while not self._ready:
            if self._over:
                return END
            try:
                event = self._events.next_event()
            except EventTooLarge as error:
                self._over = True
                return Failed(Failure(kind=FailureKind.INVALID, status=200, message=str(error)))
            if isinstance(event, Signal):
                return event
            self._ready.extend(self._read(event))
        return self._ready.popleft()

    def _read(self, event: ServerSentEvent) -> Iterator[MiddleEvent]:
        try:
            check_utf8(event.data)
            found = _decode_event(event.data)
        except UNREADABLE:
            yield Malformed()
            return
        name = found.type or (event.name or b"").decode("latin-1")
        match name:
            case "message_start":
                yield from self._begin(found.message or _Message())
            case "content_block_start" if found.content_block is not None:
                yield from self._begin_block(found.index, found.content_block)
            case "content_block_delta" if found.delta is not None:
                yield from self._grow(found.index, found.delta)
            case "content_block_stop":
                yield from self._end_block(found.index)
            case "message_delta":
                yield from self._read_message_delta(found)
            case "message_stop":
                yield from self._end()
            case "error":
                yield Failed(classify_event(event.data))
            case _:
                yield Alive()

    def _begin(self, message: _Message) -> Iterator[MiddleEvent]:
        if not self._begun:
            self._begun = True
            yield Begun(id=message.id)
        yield from self._tell_usage(message.usage)

    def _begin_block(self, index: int, block: Block) -> Iterator[MiddleEvent]:
        if not self._begun:
            yield from self._begin(_Message())
        kind = _KINDS.get(block.type)
        if kind is None:
            return
        part, self._parts = self._parts, self._parts + 1
        state = self._open[index] = _OpenBlock(part)
        begun = PartBegun(part=part, kind=kind)
        if kind == "call":
            state.fallback = block.arguments()
            if block.name == self._format_tool:
                begun = PartBegun(part=part, kind="text")
            else:
                state.fallback = "" if state.fallback == NO_ARGUMENTS else state.fallback
                self._has_calls = True
                begun = PartBegun(part=part, kind=kind, id=block.id, name=block.name)
        yield begun
        opening = block.text or block.thinking
        if opening:
            yield Grown(part=part, text=opening)
        if block.data:
            yield Grown(part=part, text=owned(ANTHROPIC, block.data))

    def _grow(self, index: int, delta: _Delta) -> Iterator[MiddleEvent]:
        block = self._open.get(index)
        if block is None:
            return
        text = delta.text or delta.thinking or delta.partial_json
        if text:
            block.grown = True
            yield Grown(part=block.part, text=text)
        if delta.signature:
            yield Grown(part=block.part, signature=owned(ANTHROPIC, delta.signature))

    def _end_block(self, index: int) -> Iterator[MiddleEvent]:
        block = self._open.pop(index, None)
        if block is None:
            return
        if block.fallback and not block.grown:
            yield Grown(part=block.part, text=block.fallback)
        yield PartEnded(part=block.part)

    def _read_message_delta(self, event: _Event) -> Iterator[MiddleEvent]:
        yield from self._tell_usage(event.usage)
        delta = event.delta
        if delta is not None and delta.stop_reason is not None:
            yield from self._stop(delta.stop_reason, delta.stop_sequence)

    def _stop(self, reason: str | None, sequence: str | None) -> Iterator[MiddleEvent]:
        if self._stopped:
            return
        self._stopped = True
        for index in list(self._open):
            yield from self._end_block(index)
        stop = stop_of(reason, has_calls=self._has_calls)
        yield Stopped(stop=stop, stop_sequence=sequence)

    def _end(self) -> Iterator[MiddleEvent]:
        yield from self._stop(None, None)
        yield Ended()

    def _tell_usage(self, usage: msgspec.Raw) -> Iterator[MiddleEvent]:
        if self._usage.note(usage) and self._usage.usage is not None:
            yield UsageTold(self._usage.usage)

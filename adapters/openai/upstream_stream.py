"""A stream of chat chunks, read into the middle.

Chunks say what was added and not when a part is whole, so a part ends where another begins or its choice
does. Calls may grow side by side; they end with their choice. The provider's own numbers of calls only serve
to tell them apart.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

import msgspec

from adapters.dialect import Failure, FailureKind
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
from adapters.openai.error import classify_event, classify_object
from adapters.openai.foreign import FALSY, NULL, UNREADABLE, check_utf8
from adapters.openai.upstream_answer import stop_of
from adapters.openai.usage import read_usage
from adapters.openai.variant import Variant
from adapters.sse import END, EventDecoder, EventTooLarge, ServerSentEvent, Signal


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_Call] | None = None


class _Choice(msgspec.Struct):
    index: int | None = None
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    created: int | float | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decode_chunk: Final = msgspec.json.Decoder(_Chunk).decode


class ChunkSource:
    """Reads one stream of chunks (see `adapters.middle.halves.EventSource`)."""

    def __init__(self, variant: Variant | None = None) -> None:
        self._events = EventDecoder()
        self._variant = variant
        self._ready: deque[MiddleEvent] = deque()
        self._choices: dict[int, _ChoiceParts] = {}
        self._begun = False
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
        if event.data.startswith(b"[DONE]"):
            yield Ended()
            return
        if event.name == b"error":
            yield Failed(classify_event(event.data))
            return
        try:
            check_utf8(event.data)
            data = event.data if self._variant is None else self._variant.read(event.data)
            chunk = _decode_chunk(data)
        except UNREADABLE:
            yield Malformed() if event.data.strip() else Alive()
            return
        if chunk.error not in FALSY:
            yield Failed(classify_object(chunk.error))
            return
        yield from self._read_chunk(chunk)

    def _read_chunk(self, chunk: _Chunk) -> Iterator[MiddleEvent]:
        if not self._begun:
            self._begun = True
            created = None if chunk.created is None else int(chunk.created)
            yield Begun(id=chunk.id or None, created=created)
        for choice in chunk.choices or ():
            index = choice.index or 0
            parts = self._choices.setdefault(index, _ChoiceParts(index))
            yield from parts.read(choice)
        usage = read_usage(chunk.usage)
        if usage is not None:
            yield UsageTold(usage)


class _ChoiceParts:
    """The parts of one choice: which are open, and how the next is numbered."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._parts = 0
        self._open: tuple[PartKind, int] | None = None  # a text, a refusal or reasoning
        self._calls: dict[int, int] = {}  # the provider's number of a call -> its part
        self._ids: dict[int, str] = {}
        self._stopped = False

    def read(self, choice: _Choice) -> Iterator[MiddleEvent]:
        """Read what a chunk says of this choice."""
        delta = choice.delta
        if delta is not None and not self._stopped:
            yield from self._say("reasoning", delta.reasoning_content or delta.reasoning)
            yield from self._say("text", delta.content)
            yield from self._say("refusal", delta.refusal)
            for position, call in enumerate(delta.tool_calls or ()):
                yield from self._call(call, position)
        if choice.finish_reason and not self._stopped:
            self._stopped = True
            yield from self._end_open()
            for part in self._calls.values():
                yield PartEnded(choice=self._index, part=part)
            stop = stop_of(choice.finish_reason, has_calls=bool(self._calls))
            yield Stopped(choice=self._index, stop=stop)

    def _say(self, kind: PartKind, text: str | None) -> Iterator[MiddleEvent]:
        if not text:
            return
        if self._open is None or self._open[0] != kind:
            yield from self._end_open()
            self._open = (kind, self._next_part())
            yield PartBegun(choice=self._index, part=self._open[1], kind=kind)
        yield Grown(choice=self._index, part=self._open[1], text=text)

    def _call(self, call: _Call, position: int) -> Iterator[MiddleEvent]:
        function = call.function or _Function()
        number = self._number_of(call, position)
        part = self._calls.get(number)
        if part is None:
            yield from self._end_open()
            part = self._calls[number] = self._next_part()
            call_id = call.id or f"call_{self._index}_{part}"
            self._ids[number] = call_id
            yield PartBegun(
                choice=self._index, part=part, kind="call", id=call_id, name=function.name or ""
            )
        if function.arguments:
            yield Grown(choice=self._index, part=part, text=function.arguments)

    def _number_of(self, call: _Call, position: int) -> int:
        """Return the number of a call; some providers give all the same one, or none, but other ids."""
        number = position if call.index is None else call.index
        if call.id and self._ids.get(number, call.id) != call.id:
            known = [at for at, call_id in self._ids.items() if call_id == call.id]
            return known[0] if known else max(self._ids) + 1
        return number

    def _end_open(self) -> Iterator[MiddleEvent]:
        if self._open is not None:
            yield PartEnded(choice=self._index, part=self._open[1])
            self._open = None

    def _next_part(self) -> int:
        self._parts += 1
        return self._parts - 1

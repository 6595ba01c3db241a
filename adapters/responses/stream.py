"""A streamed answer, written as the named events of the Responses API.

A part begins for the client with its first growth or its end, since a call's id holds its signature and an
empty text is nothing. Words that follow each other are contents of one message. An item is done when the
next has begun, and the last one with the answer: only then is it known whether the cap has cut it.
"""

from typing import Final

import msgspec

from adapters.dialect import Beginning, Call, Target, ToldError, Usage
from adapters.middle.arguments import NO_ARGUMENTS
from adapters.middle.conversation import Refusal
from adapters.middle.event import (
    Begun,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.middle.rest import OPEN_TEXT, text_of
from adapters.responses.failing import error_events
from adapters.responses.growing import GrowingItem, GrowingPart
from adapters.responses.output import ItemKind, Json, Status, content, item_id, kind_of_call
from adapters.responses.response import ended, final_status, response_fields
from adapters.responses.tools import custom_input, read_tools
from adapters.sse import ServerSentEvent, encode_event

_decode_fields: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_int: Final = msgspec.json.Decoder(int).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.encode


class ResponseWriter:
    """Writes one stream of events (see `adapters.middle.halves.EventWriter`)."""

    def __init__(self, call: Call, target: Target) -> None:
        self._call = call
        self._target = target
        self._offer = read_tools(call.fields)
        self._fields: Json = {}
        self._usage: Usage | None = None
        self._sequence = 0
        self._parts: dict[int, GrowingPart] = {}
        self._items: list[GrowingItem] = []
        self._stopped: Stopped | None = None
        self._closed = False
        if call.beginning is not None:
            self._resume(call.beginning)

    def members(self) -> dict[str, msgspec.Raw]:
        """Return the response as it began, its message's id, and the number of the next event."""
        return {
            "response": msgspec.Raw(_encode(self._fields)),
            "item_id": msgspec.Raw(_encode(self._items[0].id if self._items else "")),
            "sequence_number": msgspec.Raw(_encode(self._sequence)),
        }

    def write(self, event: MiddleEvent) -> bytes:
        """Return the events that tell of one; of other choices than the first there is nothing to tell."""
        match event:
            case Begun():
                return self._start(event.created)
            case UsageTold():
                self._usage = event.usage
            case PartBegun(choice=0):
                self._parts[event.part] = GrowingPart(event)
                return self._start()
            case Grown(choice=0):
                return self._grow(self._parts[event.part], event)
            case PartEnded(choice=0):
                return self._end_part(self._parts.pop(event.part))
            case Stopped(choice=0) if self._stopped is None:
                self._stopped = event
                return self._start() + self._finish(final_status(event.stop))
        return b""

    def close(self) -> bytes:
        """Return the events that end the response; nothing when asked again."""
        if self._closed:
            return b""
        self._closed = True
        stop = None if self._stopped is None else self._stopped.stop
        frames = self._start() + self._finish("incomplete")
        output = [item.fields(self._offer) for item in self._items]
        response = ended(self._fields, output, stop, self._usage)
        return frames + self._event(f"response.{response['status']}", response=response)

    def fail(self, error: ToldError) -> bytes:
        """Return the events that end the response with an error; nothing after its end."""
        if self._closed:
            return b""
        self._closed = True
        frames = self._start()
        output = [item.fields(self._offer) for item in self._items if item.is_done]
        for name, fields in error_events(error, {**self._fields, "output": output}):
            frames += self._event(name, **fields)
        return frames

    def _resume(self, beginning: Beginning) -> None:
        """Take up a stream whose client has one message with an open text."""
        members = beginning.members
        self._fields = {**_decode_fields(members["response"])}
        self._sequence = _decode_int(members["sequence_number"])
        item = GrowingItem(_decode_text(members["item_id"]), "message", 0, growing=1)
        part = GrowingPart(OPEN_TEXT, pieces=[text_of(beginning)], item=item)
        item.parts.append(part)
        self._items.append(item)
        self._parts[0] = part

    def _start(self, created: int | None = None) -> bytes:
        if self._fields:
            return b""
        self._fields = response_fields(self._call, self._target, created=created)
        return self._event("response.created", response=self._fields) + self._event(
            "response.in_progress", response=self._fields
        )

    def _grow(self, part: GrowingPart, event: Grown) -> bytes:
        part.signature = event.signature or part.signature
        if event.text:
            part.pieces.append(event.text)
        kind = part.begun.kind
        if kind == "call":
            return self._begin_calls(part) + self._fragment(part, event.text)
        if kind == "redacted" or not event.text:
            return b""
        frames = self._begin(part)
        match kind:
            case "text":
                return frames + self._told(part, "output_text.delta", delta=event.text, logprobs=[])
            case "refusal":
                return frames + self._told(part, "refusal.delta", delta=event.text)
        return frames + self._told(part, "reasoning_summary_text.delta", delta=event.text)

    def _end_part(self, part: GrowingPart) -> bytes:
        match part.begun.kind:
            case "text" | "refusal":
                frames = self._end_content(part)
            case "call":
                frames = self._end_call(part)
            case _:
                frames = self._end_reasoning(part)
        if part.item is not None:
            part.item.growing -= 1
        return frames + self._settle()

    def _begin(self, part: GrowingPart) -> bytes:
        """Begin a part for the client, if it has not: in an item of its own, or in the last message."""
        if part.item is not None:
            return b""
        frames, last = b"", self._items[-1] if self._items else None
        kind = self._kind_of(part)
        if kind != "message" or last is None or last.kind != kind or last.is_done:
            index = len(self._items)
            last = GrowingItem(item_id(kind, self._call.request_id, index), kind, index)
            self._items.append(last)
            added = last.begun(part, self._offer)
            frames = self._settle() + self._event(
                "response.output_item.added", output_index=index, item=added
            )
        part.item, part.place = last, len(last.parts)
        last.parts.append(part)
        last.growing += 1
        if kind == "message":
            frames += self._told(part, "content_part.added", part=content(part.as_words("")))
        elif kind == "reasoning" and part.pieces and part.begun.kind == "reasoning":
            frames += self._told(
                part, "reasoning_summary_part.added", part={"type": "summary_text", "text": ""}
            )
        return frames

    def _kind_of(self, part: GrowingPart) -> ItemKind:
        match part.begun.kind:
            case "call":
                return kind_of_call(part.begun.name or "", self._offer)
            case "reasoning" | "redacted":
                return "reasoning"
        return "message"

    def _begin_calls(self, part: GrowingPart) -> bytes:
        """Begin a call, and those before it that have said nothing yet: their order is that of the output."""
        frames = b""
        for earlier in self._parts.values():
            if earlier.begun.part < part.begun.part and earlier.begun.kind == "call":
                frames += self._begin(earlier)
        return frames + self._begin(part)

    def _fragment(self, part: GrowingPart, text: str) -> bytes:
        """Tell of a call's arguments; the input of a custom tool is told when it is whole."""
        if not text or part.item is None or part.item.kind == "custom_tool_call":
            return b""
        return self._told(part, "function_call_arguments.delta", delta=text)

    def _end_content(self, part: GrowingPart) -> bytes:
        if part.item is None:
            return b""
        said = part.as_words(part.text)
        if isinstance(said, Refusal):
            frames = self._told(part, "refusal.done", refusal=said.text)
        else:
            frames = self._told(part, "output_text.done", text=said.text, logprobs=[])
        return frames + self._told(part, "content_part.done", part=content(said))

    def _end_reasoning(self, part: GrowingPart) -> bytes:
        is_kept = part.begun.kind == "redacted" or bool(part.signature)
        frames = self._begin(part) if is_kept else b""
        if part.begun.kind == "redacted" or not part.pieces:
            return frames
        frames += self._told(part, "reasoning_summary_text.done", text=part.text)
        return frames + self._told(
            part, "reasoning_summary_part.done", part={"type": "summary_text", "text": part.text}
        )

    def _end_call(self, part: GrowingPart) -> bytes:
        frames = self._begin_calls(part)
        if not part.pieces:
            part.pieces.append(NO_ARGUMENTS)
            frames += self._fragment(part, NO_ARGUMENTS)
        if part.item is not None and part.item.kind == "custom_tool_call":
            said = custom_input(part.text)
            frames += self._told(part, "custom_tool_call_input.delta", delta=said)
            return frames + self._told(part, "custom_tool_call_input.done", input=said)
        return frames + self._told(part, "function_call_arguments.done", arguments=part.text)

    def _settle(self) -> bytes:
        """Return the end of every item that is whole and not the last."""
        return b"".join(
            [self._done(item, "completed") for item in self._items[:-1] if not item.growing]
        )

    def _finish(self, status: Status) -> bytes:
        """Return the end of every item; the last one ends as the answer does."""
        frames = b"".join([self._done(item, "completed") for item in self._items[:-1]])
        return frames + (self._done(self._items[-1], status) if self._items else b"")

    def _done(self, item: GrowingItem, status: Status) -> bytes:
        if item.is_done:
            return b""
        item.status = status
        fields = item.fields(self._offer)
        return self._event("response.output_item.done", output_index=item.index, item=fields)

    def _told(self, part: GrowingPart, name: str, /, **fields: object) -> bytes:
        """Return an event about one part of an item."""
        item = part.item
        assert item is not None  # noqa: S101 - nothing is told of a part that has not begun
        place: Json = {"item_id": item.id, "output_index": item.index}
        if item.kind == "message":
            place["content_index"] = part.place
        elif item.kind == "reasoning":
            place["summary_index"] = part.place
        return self._event(f"response.{name}", **place, **fields)

    def _event(self, name: str, /, **fields: object) -> bytes:
        data = _encode({"type": name, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return encode_event(ServerSentEvent(data, name.encode()))

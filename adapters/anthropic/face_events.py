"""A streamed answer, written as Anthropic's named events.

The first event waits for the first word, so that it has the usage if the provider has told it by then: some
clients read it nowhere else. Blocks are numbered in the order in which they begin here, and a block begins
with its first growth or its end, since a call's id holds its signature and a redacted block its data. Why the
message ended goes out last, together with the whole usage.
"""

from typing import Final

import msgspec

from adapters.anthropic.ending import message_end, named_event
from adapters.anthropic.error_body import error_event
from adapters.anthropic.face_answer import Json, message_fields
from adapters.anthropic.stops import reason_of
from adapters.anthropic.usage import usage_fields
from adapters.dialect import Call, Target, ToldError, Usage
from adapters.middle.event import (
    Alive,
    Begun,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    PartKind,
    Stopped,
    UsageTold,
)
from adapters.middle.rest import OPEN_TEXT
from adapters.middle.signature import with_signature

_FIELD_OF: Final[dict[PartKind, tuple[str, str]]] = {
    "text": ("text_delta", "text"),
    "refusal": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    "call": ("input_json_delta", "partial_json"),
}


class _OpenPart(msgspec.Struct):
    """A part that has begun. `block`: its number, once it has gone out; `data`: of a redacted one."""

    begun: PartBegun
    block: int | None = None
    signature: str | None = None
    data: list[str] = []


class MessageWriter:
    """Writes one stream of events (see `adapters.middle.halves.EventWriter`)."""

    def __init__(self, call: Call, target: Target) -> None:
        self._call = call
        self._target = target
        self._id: str | None = None
        self._usage: Usage | None = None
        self._started = False
        self._parts: dict[int, _OpenPart] = {}
        self._blocks = 0
        self._has_calls = False
        self._stopped: Stopped | None = None
        self._closed = False
        if call.beginning is not None:
            self._started = True
            self._parts[0] = _OpenPart(OPEN_TEXT, block=0)
            self._blocks = 1

    def members(self) -> dict[str, msgspec.Raw]:
        """Return nothing: after the first event no other repeats what it told."""
        return {}

    def write(self, event: MiddleEvent) -> bytes:
        """Return the events that tell of one; of other choices than the first there is nothing to tell."""
        match event:
            case Begun():
                self._id = event.id
            case UsageTold():
                self._usage = event.usage
            case Alive():
                return self._start() + named_event("ping")
            case PartBegun(choice=0):
                self._parts[event.part] = _OpenPart(event)
                return self._start()
            case Grown(choice=0):
                return self._grow(self._parts[event.part], event)
            case PartEnded(choice=0):
                return self._end_part(self._parts.pop(event.part))
            case Stopped(choice=0):
                self._stopped = self._stopped or event
                return self._start()
        return b""

    def close(self) -> bytes:
        """Return the events that end the message; nothing when asked again."""
        if self._closed:
            return b""
        self._closed = True
        stopped = self._stopped or Stopped(stop="stop")
        reason = reason_of(stopped.stop, stopped.stop_sequence, has_calls=self._has_calls)
        end = message_end(reason, stopped.stop_sequence, self._usage)
        return self._start() + end + named_event("message_stop")

    def fail(self, error: ToldError) -> bytes:
        """Return the event that tells of an error."""
        return error_event(error.status, error.message, request_id=error.request_id)

    def _start(self) -> bytes:
        if self._started:
            return b""
        self._started = True
        usage = usage_fields(self._usage)
        message = {**message_fields(self._id, self._call, self._target), "usage": usage}
        return named_event("message_start", message=message)

    def _grow(self, part: _OpenPart, event: Grown) -> bytes:
        kind = part.begun.kind
        part.signature = event.signature or part.signature
        if kind == "redacted":
            part.data.append(event.text)
            return b""
        frames = self._begin_block(part)
        if event.text:
            delta, field = _FIELD_OF[kind]
            frames += self._delta(part, {"type": delta, field: event.text})
        if event.signature and kind == "reasoning":
            frames += self._delta(part, {"type": "signature_delta", "signature": event.signature})
        return frames

    def _begin_block(self, part: _OpenPart) -> bytes:
        if part.block is not None:
            return b""
        part.block, self._blocks = self._blocks, self._blocks + 1
        return named_event(
            "content_block_start", index=part.block, content_block=self._first_of(part)
        )

    def _first_of(self, part: _OpenPart) -> Json:
        begun = part.begun
        match begun.kind:
            case "call":
                self._has_calls = True
                call_id = begun.id or f"toolu_{begun.part}"
                return {
                    "type": "tool_use",
                    "id": with_signature(call_id, part.signature),
                    "name": begun.name or "",
                    "input": {},
                }
            case "reasoning":
                return {"type": "thinking", "thinking": "", "signature": ""}
            case "redacted":
                return {"type": "redacted_thinking", "data": "".join(part.data)}
        return {"type": "text", "text": ""}

    def _delta(self, part: _OpenPart, delta: Json) -> bytes:
        return named_event("content_block_delta", index=part.block, delta=delta)

    def _end_part(self, part: _OpenPart) -> bytes:
        began = self._begin_block(part)
        return began + named_event("content_block_stop", index=part.block)

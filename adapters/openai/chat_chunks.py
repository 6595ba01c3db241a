"""A streamed answer, written as chat chunks by the book.

Every choice begins with its role. Calls are numbered from 0 in the order in which they begin, whatever stands
between them; the first delta of one has its id and name, the others only fragments, and a call without any
gets `{}`. A choice ends once. Usage comes in one last chunk, if it was asked for.

A call is told with its first growth or its end, since its id holds its signature.
"""

from typing import Final

import msgspec

from adapters.dialect import Call, Target, ToldError, Usage
from adapters.middle.arguments import NO_ARGUMENTS
from adapters.middle.conversation import Reasoning, ToolCall
from adapters.middle.event import (
    Begun,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.middle.rest import OPEN_TEXT
from adapters.openai.chat_answer import call_fields, detail_fields, finish_reason
from adapters.openai.chat_usage import usage_fields
from adapters.openai.ending import error_event
from adapters.sse import ServerSentEvent, encode_event

_DONE: Final = b"data: [DONE]\n\n"
_TOLD: Final = ("id", "created", "model")
_FIELD_OF: Final = {"text": "content", "refusal": "refusal", "reasoning": "reasoning_content"}

_encode: Final = msgspec.json.encode


class _OpenPart(msgspec.Struct):
    """A part that has begun. `number`: among the calls, or among the reasoning, of its choice."""

    begun: PartBegun
    number: int
    told: bool = False
    grown: bool = False
    text: list[str] = []
    signature: str | None = None


class _ChoiceState(msgspec.Struct):
    """How far one choice has come."""

    parts: dict[int, _OpenPart] = {}
    calls: int = 0
    reasonings: int = 0
    stopped: bool = False


class ChunkWriter:
    """Writes one stream of chunks (see `adapters.middle.halves.EventWriter`)."""

    def __init__(self, call: Call, target: Target) -> None:
        self._wants_usage = call.include_usage
        self._usage: Usage | None = None
        self._choices: dict[int, _ChoiceState] = {}
        self._shared: dict[str, object] = {
            "id": f"chatcmpl-{call.request_id}",
            "object": "chat.completion.chunk",
            "created": call.asked_at,
            "model": target.served_model,
        }
        if call.beginning is not None:
            self._shared |= call.beginning.members
            self._choices[0] = _ChoiceState(parts={0: _OpenPart(OPEN_TEXT, 0)})

    def members(self) -> dict[str, msgspec.Raw]:
        """Return what all chunks share and a provider tells."""
        return {name: msgspec.Raw(_encode(self._shared[name])) for name in _TOLD}

    def write(self, event: MiddleEvent) -> bytes:
        """Return the chunks that tell of an event."""
        match event:
            case Begun():
                return self._begin(event)
            case PartBegun():
                return self._begin_part(event)
            case Grown():
                return self._grow(event)
            case PartEnded():
                return self._end_part(event)
            case Stopped():
                return self._stop(event)
            case UsageTold():
                self._usage = event.usage
        return b""

    def close(self) -> bytes:
        """Return the owed usage and `[DONE]`."""
        if not self._wants_usage or self._usage is None:
            return _DONE
        usage, self._usage = usage_fields(self._usage), None
        chunk = {**self._shared, "choices": [], "usage": usage}
        return encode_event(ServerSentEvent(_encode(chunk))) + _DONE

    def fail(self, error: ToldError) -> bytes:
        """Return the event that tells of an error."""
        return error_event(error)

    def _begin(self, event: Begun) -> bytes:
        if event.id:
            self._shared["id"] = event.id
        if event.created is not None:
            self._shared["created"] = event.created
        return self._open(0)[1]

    def _open(self, index: int) -> tuple[_ChoiceState, bytes]:
        """Return the state of a choice, and the chunk with its role if it begins now."""
        state = self._choices.get(index)
        if state is not None:
            return state, b""
        state = self._choices[index] = _ChoiceState()
        return state, self._chunk(index, {"role": "assistant", "content": "", "refusal": None})

    def _begin_part(self, event: PartBegun) -> bytes:
        state, role = self._open(event.choice)
        number = 0
        if event.kind == "call":
            number, state.calls = state.calls, state.calls + 1
        elif event.kind in {"reasoning", "redacted"}:
            number, state.reasonings = state.reasonings, state.reasonings + 1
        state.parts[event.part] = _OpenPart(event, number)
        return role

    def _grow(self, event: Grown) -> bytes:
        part = self._choices[event.choice].parts[event.part]
        part.signature = event.signature or part.signature
        kind = part.begun.kind
        if kind == "call":
            return self._tell_call(part) + self._fragment(part, event.text)
        if kind != "text":
            part.text.append(event.text)
        if not event.text or kind == "redacted":
            return b""
        return self._chunk(event.choice, {_FIELD_OF[kind]: event.text})

    def _end_part(self, event: PartEnded) -> bytes:
        part = self._choices[event.choice].parts.pop(event.part)
        if part.begun.kind == "call":
            return self._tell_call(part) + (
                b"" if part.grown else self._fragment(part, NO_ARGUMENTS)
            )
        detail = detail_fields(_reasoning_of(part), part.number)
        return b"" if detail is None else self._chunk(event.choice, {"reasoning_details": [detail]})

    def _tell_call(self, part: _OpenPart) -> bytes:
        if part.told:
            return b""
        part.told = True
        begun = part.begun
        call = ToolCall(
            id=begun.id or f"call_{begun.choice}_{begun.part}",
            name=begun.name or "",
            arguments="",
            signature=part.signature,
        )
        return self._chunk(
            begun.choice, {"tool_calls": [{"index": part.number, **call_fields(call)}]}
        )

    def _fragment(self, part: _OpenPart, text: str) -> bytes:
        if not text:
            return b""
        part.grown = True
        fragment = {"index": part.number, "function": {"arguments": text}}
        return self._chunk(part.begun.choice, {"tool_calls": [fragment]})

    def _stop(self, event: Stopped) -> bytes:
        state, role = self._open(event.choice)
        if state.stopped:
            return b""
        state.stopped = True
        reason = finish_reason(event.stop, has_calls=state.calls > 0)
        return role + self._chunk(event.choice, {}, reason)

    def _chunk(self, index: int, delta: dict[str, object], finish: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk: dict[str, object] = {**self._shared, "choices": [choice]}
        if self._wants_usage:
            chunk["usage"] = None
        return encode_event(ServerSentEvent(_encode(chunk)))


def _reasoning_of(part: _OpenPart) -> Reasoning:
    text = "".join(part.text)
    if part.begun.kind == "redacted":
        return Reasoning(redacted=text)
    if part.begun.kind == "reasoning":
        return Reasoning(text=text, signature=part.signature)
    return Reasoning()

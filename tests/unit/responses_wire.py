"""Calls of the Responses API, and what OpenAI's own SDK makes of the answers to them."""

import json
from collections.abc import Iterable
from typing import Any, get_args

import httpx2
import msgspec
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel

from adapters.dialect import Call
from adapters.middle.answer import StopReason, WholeAnswer
from adapters.middle.conversation import (
    Conversation,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from adapters.middle.event import Grown, MiddleEvent, PartBegun, PartEnded, PartKind
from adapters.responses.call import decode_call
from adapters.responses.face import ResponsesFace
from tests.dialect_wire import ASKED_AT, SERVED, TARGET, sent

LOOK = {
    "type": "function",
    "name": "look",
    "description": "Looks.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    "strict": False,
}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/s"},
}
MCP = {
    "type": "namespace",
    "name": "mcp__files",
    "description": "Files.",
    "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}}],
}

# The SDK's own types of events, by their names.
_EVENTS: dict[str, type[BaseModel]] = {
    get_args(event.model_fields["type"].annotation)[0]: event
    for event in get_args(get_args(ResponseStreamEvent)[0])
}


def asked(said: Any = "Hi", **fields: Any) -> Call:
    """The call of a client that says this."""
    call = decode_call(json.dumps({"model": SERVED, "input": said, **fields}).encode())
    return msgspec.structs.replace(call, request_id="r1", asked_at=ASKED_AT)


def read(said: Any = "Hi", **fields: Any) -> Conversation:
    return ResponsesFace().conversation(asked(said, **fields))


def whole(call: Call, answer: WholeAnswer) -> dict[str, Any]:
    """A whole answer, which the SDK's own type must accept as it is."""
    body = ResponsesFace().write_answer(call, TARGET, answer)
    Response.model_validate_json(body)
    found: dict[str, Any] = json.loads(body)
    return found


def written(call: Call, events: Iterable[MiddleEvent]) -> bytes:
    """The stream that tells of these events."""
    writer = ResponsesFace().event_writer(call, TARGET)
    return b"".join([writer.write(event) for event in events]) + writer.close()


def told(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream: each named, numbered without a gap, and accepted by the SDK's own type."""
    found: list[dict[str, Any]] = []
    for event in sent(stream):
        said = json.loads(event.data)
        assert event.name is not None
        assert event.name.decode() == said["type"]
        assert said["sequence_number"] == len(found)
        _EVENTS[said["type"]].model_validate(said)
        found.append(said)
    return found


def accumulated(stream: bytes) -> Response:
    """The response that the SDK has put together at the end of a stream that completed."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)

    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http,
        OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=http) as client,
        client.responses.stream(model=SERVED, input="Hi") as events,
    ):
        return events.get_final_response()


def parts_told(parts: Iterable[Part], *, cut: int = 3) -> list[MiddleEvent]:
    """The events that tell of these parts, one after another, in pieces of so many characters."""
    events: list[MiddleEvent] = []
    for number, part in enumerate(parts):
        events += part_told(part, number, cut=cut)
    return events


def part_told(part: Part, number: int, *, cut: int = 3) -> list[MiddleEvent]:
    kind, text, signature = _story(part)
    is_call = isinstance(part, ToolCall)
    begun = PartBegun(
        part=number,
        kind=kind,
        id=part.id if isinstance(part, ToolCall) else None,
        name=part.name if isinstance(part, ToolCall) else None,
    )
    pieces = [text[at : at + cut] for at in range(0, len(text), cut)]
    grown: list[MiddleEvent] = [Grown(part=number, text=piece) for piece in pieces]
    if signature is not None:
        signed = Grown(part=number, signature=signature)
        grown = [signed, *grown] if is_call else [*grown, signed]
    return [begun, *grown, PartEnded(part=number)]


def _story(part: Part) -> tuple[PartKind, str, str | None]:
    match part:
        case ToolCall():
            return "call", "" if part.arguments == "{}" else part.arguments, part.signature
        case Reasoning(redacted=str(data)):
            return "redacted", data, part.signature
        case Reasoning():
            return "reasoning", part.text, part.signature
        case Refusal():
            return "refusal", part.text, None
        case Text():
            return "text", part.text, None
    raise AssertionError(part)


STOPS: tuple[StopReason, ...] = ("stop", "length", "tool_calls", "content_filter")

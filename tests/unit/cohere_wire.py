"""Answers and streams of Cohere, as the tests of the dialect need them."""

import json
from collections.abc import Iterable
from typing import Any

from adapters.cohere import CohereUpstream
from adapters.dialect import Target
from adapters.middle.conversation import Conversation
from adapters.middle.event import Alive, MiddleEvent
from adapters.sse import Signal
from tests.unit.gemini_wire import conversation

UPSTREAM = CohereUpstream()
TARGET = Target(
    upstream_model="command-a-reasoning-08-2025",
    served_model="cohere/command-a",
    paths={"chat": b"/v2/chat", "embeddings": b"/v2/embed"},
    headers=[(b"authorization", b"Bearer key")],
)


def sent(asked: Conversation, target: Target = TARGET, *, stream: bool = False) -> Any:
    """The body of the request for a conversation, as JSON."""
    return json.loads(UPSTREAM.encode(asked, target, stream=stream).body)


def message_event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "delta": {"message": fields}}


_NOTHING_YET = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": []}
START = {"type": "message-start", "id": "resp-1", "delta": {"message": _NOTHING_YET}}


def text(words: str) -> dict[str, Any]:
    return message_event("content-delta", content={"text": words})


def thought(words: str) -> dict[str, Any]:
    return message_event("content-delta", content={"thinking": words})


def block(kind: str) -> dict[str, Any]:
    return message_event("content-start", content={"type": kind, kind: ""})


def plan(words: str) -> dict[str, Any]:
    return message_event("tool-plan-delta", tool_plan=words)


def call(call_id: str, name: str, *fragments: str) -> list[dict[str, Any]]:
    """The events of one call."""
    head = {"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    pieces = [{"function": {"arguments": fragment}} for fragment in fragments]
    return [
        message_event("tool-call-start", tool_calls=head),
        *(message_event("tool-call-delta", tool_calls=piece) for piece in pieces),
        {"type": "tool-call-end"},
    ]


END_OF_CONTENT = {"type": "content-end"}


def end(reason: str = "COMPLETE", **fields: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, **fields}}


def body(*events: Any) -> bytes:
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events
    )


def read(pieces: Iterable[bytes], *, alive: bool = False) -> list[MiddleEvent]:
    """The events of a whole stream that arrives in these pieces; those of mere life only if wanted."""
    source = UPSTREAM.event_source(conversation())
    events = []
    for piece in (*(piece for piece in pieces if piece), b""):
        source.receive_data(piece)
        while not isinstance(found := source.next_event(), Signal):
            events.append(found)
            assert len(events) <= 10_000
    return [found for found in events if alive or not isinstance(found, Alive)]

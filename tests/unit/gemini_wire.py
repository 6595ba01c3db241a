"""Conversations for Gemini and answers of it, as the tests of the dialect need them."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from adapters.dialect import Target
from adapters.gemini import GeminiUpstream
from adapters.middle.conversation import Conversation, Part, Role, Text, Tool, Turn
from adapters.middle.event import Alive, MiddleEvent
from adapters.sse import Signal

NEWEST = "gemini-3.5-flash"
SECOND = "gemini-2.5-flash"
OLDEST = "gemini-2.0-flash"
UPSTREAM = GeminiUpstream(new_id=lambda: "made-up")
TARGET = Target(
    upstream_model=NEWEST,
    served_model="google/gemini",
    paths={
        "chat": b"/v1beta/models/{model}:{method}",
        "embeddings": b"/v1beta/models/{model}:batchEmbedContents",
    },
    headers=[(b"x-goog-api-key", b"key")],
)


def target(model: str, **changes: Any) -> Target:
    return msgspec.structs.replace(TARGET, upstream_model=model, **changes)


def turn(role: Role, *parts: Part) -> Turn:
    return Turn(role, parts)


def user(*parts: Part | str) -> Turn:
    return Turn("user", tuple(Text(text=part) if isinstance(part, str) else part for part in parts))


def model(*parts: Part | str) -> Turn:
    return Turn(
        "assistant", tuple(Text(text=part) if isinstance(part, str) else part for part in parts)
    )


def conversation(*turns: Turn, **fields: Any) -> Conversation:
    return Conversation(turns=turns or (user("Hi"),), **fields)


def tool(name: str = "add", schema: Any = None, **fields: Any) -> Tool:
    if schema is None:
        schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    return Tool(name=name, parameters=msgspec.Raw(json.dumps(schema).encode()), **fields)


def sent(asked: Conversation, model: str = NEWEST, *, stream: bool = False) -> Any:
    """The body of the request for a conversation, as JSON."""
    return json.loads(UPSTREAM.encode(asked, target(model), stream=stream).body)


def said(*parts: dict[str, Any], finish: str | None = None, index: int | None = None) -> Any:
    candidate: dict[str, Any] = {}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    if finish is not None:
        candidate["finishReason"] = finish
    if index is not None:
        candidate["index"] = index
    return candidate


def text(words: str, **fields: Any) -> dict[str, Any]:
    return {"text": words, **fields}


def call(name: str = "add", args: Any = None, **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, **({} if args is None else {"args": args})}, **fields}


def response(*candidates: Any, **fields: Any) -> dict[str, Any]:
    return {"candidates": list(candidates), "responseId": "resp-1", **fields}


def event(chunk: Any) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n"


def body(*chunks: Any) -> bytes:
    return b"".join(event(chunk) for chunk in chunks)


def read(
    pieces: Iterable[bytes], asked: Conversation | None = None, *, alive: bool = False
) -> list[MiddleEvent]:
    """The events of a whole stream that arrives in these pieces; those of mere life only if wanted."""
    source = UPSTREAM.event_source(asked or conversation())
    events = []
    for piece in (*(piece for piece in pieces if piece), b""):
        source.receive_data(piece)
        while not isinstance(found := source.next_event(), Signal):
            events.append(found)
            assert len(events) <= 10_000
    return [found for found in events if alive or not isinstance(found, Alive)]

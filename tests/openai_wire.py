"""Calls, targets and streams in OpenAI's dialect, as the tests of the dialect need them."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from adapters.dialect import Call, Endpoint, EventKind, StreamEvent, Target, Usage
from adapters.openai.request import decode_call
from adapters.openai.stream import ChunkDecoder
from adapters.sse import END, EventDecoder, ServerSentEvent, Signal

SERVED = "openai/gpt-4o"
UPSTREAM = "gpt-4o-2024-08-06"
TARGET = Target(
    upstream_model=UPSTREAM,
    served_model=SERVED,
    paths={"chat": b"/v1/chat", "completions": b"/v1/comp", "embeddings": b"/v1/emb"},
    headers=[(b"authorization", b"Bearer sk-upstream")],
)
DONE = b"data: [DONE]\n\n"

_REQUIRED: dict[Endpoint, dict[str, Any]] = {
    "chat": {"messages": [{"role": "user", "content": "Hi"}]},
    "completions": {"prompt": "Hi"},
    "embeddings": {"input": "Hi"},
}


def call(endpoint: Endpoint = "chat", **fields: Any) -> Call:
    """The call of a client that sends these fields and what is required beside them."""
    body = {"model": SERVED, **_REQUIRED[endpoint], **fields}
    return decode_call(endpoint, json.dumps(body).encode())


def streaming(endpoint: Endpoint = "chat", *, include_usage: bool = False, **fields: Any) -> Call:
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    return call(endpoint, stream=True, **options, **fields)


def target(**changes: Any) -> Target:
    return msgspec.structs.replace(TARGET, **changes)


def event(data: str | bytes, name: bytes | None = None) -> bytes:
    """One event as an upstream writes it."""
    data = data.encode() if isinstance(data, str) else data
    head = b"" if name is None else b"event: " + name + b"\n"
    return head + b"data: " + data + b"\n\n"


def chunk(*choices: str, model: str = UPSTREAM, rest: str = "") -> str:
    """One chat chunk in the form and order of OpenAI's."""
    return (
        '{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,'
        f'"model":"{model}","choices":[{",".join(choices)}]{rest}}}'
    )


def delta(fields: str, *, index: int = 0, finish: str = "null") -> str:
    return f'{{"index":{index},"delta":{{{fields}}},"finish_reason":{finish}}}'


ROLE = delta('"role":"assistant","content":""')
STOP = delta("", finish='"stop"')


def text(content: str, *, index: int = 0) -> str:
    return delta(f'"content":{json.dumps(content)}', index=index)


USAGE = '"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}'
COUNTED = Usage(input_tokens=7, output_tokens=2)

STREAM = (
    event(chunk(ROLE)),
    event(chunk(text("Hel"))),
    event(chunk(text("lo"))),
    event(chunk(STOP)),
    event(chunk(rest=f",{USAGE}")),
    DONE,
)


def renamed(data: str) -> str:
    return data.replace(f'"{UPSTREAM}"', f'"{SERVED}"')


def frames(events: list[StreamEvent]) -> bytes:
    return b"".join(found.frame for found in events)


def drain(decoder: ChunkDecoder) -> list[StreamEvent]:
    """The events that the decoder can give now."""
    events = []
    while not isinstance(found := decoder.next_event(), Signal):
        events.append(found)
        assert len(events) <= 10_000
    return events


def decode(
    pieces: Iterable[bytes], asked: Call | None = None, told: Target = TARGET
) -> tuple[list[StreamEvent], ChunkDecoder]:
    """The events of a whole stream that arrives in these pieces, and the decoder after its end."""
    decoder = ChunkDecoder(streaming() if asked is None else asked, told)
    events = []
    for piece in pieces:
        if piece:
            decoder.receive_data(piece)
            events += drain(decoder)
    decoder.receive_data(b"")
    events += drain(decoder)
    assert decoder.next_event() is END
    return events, decoder


def read_one(
    data: str | bytes, asked: Call | None = None, *, name: bytes | None = None
) -> StreamEvent:
    """The one event that a fresh decoder makes of this data."""
    events, _ = decode([event(data, name)], asked)
    assert len(events) == 1
    return events[0]


def kinds(events: Sequence[StreamEvent]) -> list[EventKind]:
    return [found.kind for found in events]


def client_events(frames: bytes) -> list[ServerSentEvent]:
    """What a client reads out of the frames; each must be plain, one line of data to an event."""
    for line in frames.split(b"\n"):
        assert line == b"" or line.startswith((b"data: ", b"event: "))
    decoder, events = EventDecoder(), []
    decoder.receive_data(frames)
    while not isinstance(found := decoder.next_event(), Signal):
        events.append(found)
    assert frames == b"" or frames.endswith(b"\n\n")
    return events


def client_data(frame: bytes) -> Any:
    """The JSON of a frame that holds exactly one event."""
    (found,) = client_events(frame)
    return json.loads(found.data)

"""Calls through every face, targets of every dialect, and what a client makes of an answer in the end."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from adapters.anthropic.request import decode_call as decode_messages_call
from adapters.dialect import Call, Dialect, EncodedRequest, EventKind, StreamEvent, Target
from adapters.middle.event import MiddleEvent
from adapters.middle.halves import EventSource
from adapters.openai.request import decode_call
from adapters.sse import END, EventDecoder, ServerSentEvent, Signal

SERVED = "served/model"
TARGET = Target(
    upstream_model="claude-sonnet-4-5",
    served_model=SERVED,
    paths={"chat": b"/v1/chat"},
    headers=[(b"x-api-key", b"k")],
)
ASKED_AT = 1_790_000_000


def target(model: str, **changes: Any) -> Target:
    return msgspec.structs.replace(TARGET, upstream_model=model, **changes)


def chat(*messages: dict[str, Any], **fields: Any) -> Call:
    """The call of a chat client that says these messages."""
    said = messages or ({"role": "user", "content": "Hi"},)
    body = {"model": SERVED, "messages": said, **fields}
    return _known(decode_call("chat", json.dumps(body).encode()))


def messages(*said: dict[str, Any], **fields: Any) -> Call:
    """The call of a client of Messages that says these messages."""
    found = said or ({"role": "user", "content": "Hi"},)
    body = {"model": SERVED, "max_tokens": 1000, "messages": found, **fields}
    return _known(decode_messages_call(json.dumps(body).encode()))


def _known(call: Call) -> Call:
    return msgspec.structs.replace(call, request_id="r1", asked_at=ASKED_AT)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any = None, **fields: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **fields}


def function_call(call_id: str, name: str, arguments: str = "{}") -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def function(name: str = "look", **fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, **fields}}


def body_of(encoded: EncodedRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(encoded.body)
    return found


def named(name: str, **fields: Any) -> bytes:
    """One event as Anthropic writes it."""
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def events_of(source: EventSource, pieces: Iterable[bytes]) -> list[MiddleEvent]:
    """The events of a whole stream that arrives in these pieces."""
    found: list[MiddleEvent] = []
    for piece in [*(piece for piece in pieces if piece), b""]:
        source.receive_data(piece)
        while not isinstance(event := source.next_event(), Signal):
            found.append(event)
            assert len(found) < 10_000
    assert source.next_event() is END
    return found


def stream(
    dialect: Dialect, call: Call, pieces: Iterable[bytes], told: Target = TARGET
) -> list[StreamEvent]:
    """What the gateway makes of a whole stream."""
    decoder = dialect.stream_decoder(call, told)
    found: list[StreamEvent] = []
    for piece in [*(piece for piece in pieces if piece), b""]:
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), Signal):
            found.append(event)
            assert len(found) < 10_000
    return found


def kinds(events: Sequence[StreamEvent]) -> list[EventKind]:
    return [event.kind for event in events]


def frames(events: Sequence[StreamEvent]) -> bytes:
    return b"".join(event.frame for event in events)


def sent(data: bytes) -> list[ServerSentEvent]:
    """The events that a client reads; each must be plain, one line of data to an event."""
    for line in data.split(b"\n"):
        assert line == b"" or line.startswith((b"data: ", b"event: "))
    decoder, found = EventDecoder(), []
    decoder.receive_data(data)
    while not isinstance(event := decoder.next_event(), Signal):
        found.append(event)
    assert data == b"" or data.endswith(b"\n\n")
    return found


def chunks(data: bytes) -> list[dict[str, Any]]:
    """The chunks of a stream of chat, which must end with `[DONE]`."""
    found = sent(data)
    assert found[-1].data == b"[DONE]"
    assert all(event.name is None for event in found)
    return [json.loads(event.data) for event in found[:-1]]


def chat_message(data: bytes) -> dict[str, Any]:
    """What a chat client has put together at the end of a stream, as strictly as the SDKs do it."""
    message: dict[str, Any] = {"content": "", "reasoning": "", "refusal": "", "calls": []}
    message |= {"finish": None, "usage": None}
    ids = set()
    for number, chunk in enumerate(chunks(data)):
        ids.add((chunk["id"], chunk["created"], chunk["model"], chunk["object"]))
        message["usage"] = chunk.get("usage") or message["usage"]
        for choice in chunk["choices"]:
            assert choice["index"] == 0
            assert message["finish"] is None, "a choice goes on after its end"
            assert (choice["delta"].get("role") == "assistant") == (number == 0)
            _add(message, choice["delta"])
            message["finish"] = choice["finish_reason"]
    assert len(ids) == 1
    return message


def _add(message: dict[str, Any], delta: dict[str, Any]) -> None:
    message["content"] += delta.get("content") or ""
    message["refusal"] += delta.get("refusal") or ""
    message["reasoning"] += delta.get("reasoning_content") or ""
    message.setdefault("details", []).extend(delta.get("reasoning_details") or [])
    for call in delta.get("tool_calls") or []:
        if "id" in call:
            assert call["index"] == len(message["calls"]), "the indexes are not dense"
            message["calls"].append((call["id"], call["function"]["name"], ""))
        call_id, name, arguments = message["calls"][call["index"]]
        arguments += call["function"].get("arguments") or ""
        message["calls"][call["index"]] = (call_id, name, arguments)


def whole_chat_message(body: bytes) -> dict[str, Any]:
    """The same of a whole answer."""
    answer = json.loads(body)
    assert (answer["object"], answer["model"]) == ("chat.completion", SERVED)
    (choice,) = answer["choices"]
    said = choice["message"]
    assert said["role"] == "assistant"
    return {
        "content": said["content"] or "",
        "reasoning": said.get("reasoning_content", ""),
        "refusal": said["refusal"] or "",
        "calls": [
            (call["id"], call["function"]["name"], call["function"]["arguments"])
            for call in said.get("tool_calls", [])
        ],
        "finish": choice["finish_reason"],
        "usage": answer.get("usage"),
        "details": said.get("reasoning_details", []),
    }


def message(data: bytes) -> dict[str, Any]:
    """What a client of Messages has put together at the end of a stream, as its SDK does it."""
    found: dict[str, Any] = {}
    inputs: dict[int, str] = {}
    for event in sent(data):
        said = json.loads(event.data)
        assert event.name is not None
        assert event.name.decode() == said["type"]
        match said["type"]:
            case "message_start":
                assert not found
                found = said["message"]
            case "content_block_start":
                assert said["index"] == len(found["content"]), "the indexes are not dense"
                found["content"].append(said["content_block"])
            case "content_block_delta":
                _grow(found["content"][said["index"]], said, inputs)
            case "message_delta":
                found |= said["delta"]
                found["usage"] |= said["usage"]
    for index, text in inputs.items():
        found["content"][index]["input"] = json.loads(text or "{}")
    assert event.name == b"message_stop"
    return found


def _grow(block: dict[str, Any], said: dict[str, Any], inputs: dict[int, str]) -> None:
    delta = said["delta"]
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            inputs[said["index"]] = inputs.get(said["index"], "") + delta["partial_json"]

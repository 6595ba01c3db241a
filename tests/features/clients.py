"""The rows' clients: how each face is asked for the plainest thing, and what its client hears in the end.

A request goes through the door that the gateway has for it. What is heard of an answer, whole or streamed, is
brought into one form, so that one expectation holds for all faces.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from adapters.dialect import Call, FaceName, File, FilesWanted
from router.front.faces import decoder_of
from tests.dialect_wire import (
    ASKED_AT,
    SERVED,
    chat_message,
    frames,
    message,
    stream,
    whole_chat_message,
)
from tests.features.columns import Column
from tests.simulated.dialect_world import PNG
from tests.unit.responses_wire import told

FACES: Final[tuple[FaceName, ...]] = ("chat", "responses", "messages")

_HELLO: Final = [{"role": "user", "content": "Hi"}]
_PLAIN: Final[Mapping[FaceName, dict[str, Any]]] = {
    "chat": {"messages": _HELLO},
    "responses": {"input": _HELLO},
    "messages": {"max_tokens": 4000, "messages": _HELLO},
}
_STOPS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_WHY_INCOMPLETE: Final = {"max_output_tokens": "length", "content_filter": "content_filter"}


class Heard(NamedTuple):
    """A whole answer as its client has it; `stop` in OpenAI's words, calls with their arguments read.

    `cached` and `reasoning` are counts of tokens, `None` where the face has no word for them.
    """

    text: str
    thought: str
    calls: list[tuple[str, Any]]
    stop: str
    asked: int
    answered: int
    cached: int
    reasoning: int | None


def call_of(face: FaceName, *fields: Mapping[str, Any], streamed: bool = False) -> Call:
    """Return the call of a client that says the plainest thing, and these fields besides."""
    body: dict[str, Any] = {"model": SERVED, **_PLAIN[face]}
    for more in fields:
        body |= more
    if streamed:
        body["stream"] = True
    if streamed and face == "chat":
        body["stream_options"] = {"include_usage": True}
    return decoder_of(face, ())(json.dumps(body).encode(), request_id="r1", asked_at=ASKED_AT)


def request_of(column: Column, call: Call) -> dict[str, Any]:
    """Return the JSON in which a provider is asked. Raises `BadCall` where it cannot be.

    What the gateway would fetch for a provider is an image here, whatever its address.
    """
    dialect, target = column.endpoint.dialect_of(call), column.endpoint.target
    try:
        encoded = dialect.encode_request(call, target)
    except FilesWanted as wanted:
        files = dict.fromkeys(wanted.urls, File("image/png", PNG))
        encoded = dialect.encode_request(msgspec.structs.replace(call, files=files), target)
    body: dict[str, Any] = json.loads(encoded.body)
    return body


def answer_of(column: Column, call: Call, body: bytes) -> Any:
    """Return the JSON of a whole answer, which its client must be able to read."""
    dialect = column.endpoint.dialect_of(call)
    return json.loads(dialect.decode_answer(call, column.endpoint.target, body).body)


def heard(column: Column, call: Call, body: bytes) -> Heard:
    """Return what a client makes of a provider's answer."""
    target = column.endpoint.target
    dialect = column.endpoint.dialect_of(call)
    if call.stream:
        sent = frames(stream(dialect, call, [body], target))
        return _STREAMED[call.face](sent)
    return _WHOLE[call.face](dialect.decode_answer(call, target, body).body)


def _chat(found: dict[str, Any]) -> Heard:
    usage = found["usage"]
    return Heard(
        text=found["content"],
        thought=found["reasoning"],
        calls=[(name, json.loads(arguments)) for _, name, arguments in found["calls"]],
        stop=found["finish"],
        asked=usage["prompt_tokens"],
        answered=usage["completion_tokens"],
        cached=usage["prompt_tokens_details"]["cached_tokens"],
        reasoning=usage["completion_tokens_details"]["reasoning_tokens"],
    )


def _message(found: dict[str, Any]) -> Heard:
    usage, blocks = found["usage"], found["content"]
    return Heard(
        text="".join(block["text"] for block in blocks if block["type"] == "text"),
        thought="".join(block["thinking"] for block in blocks if block["type"] == "thinking"),
        calls=[(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"],
        stop=_STOPS[found["stop_reason"]],
        asked=usage["input_tokens"] + usage["cache_read_input_tokens"],
        answered=usage["output_tokens"],
        cached=usage["cache_read_input_tokens"],
        reasoning=None,
    )


def _response(found: dict[str, Any]) -> Heard:
    usage, items = found["usage"], found["output"]
    calls = [item for item in items if item["type"] == "function_call"]
    said = [item for item in items if item["type"] == "message"]
    thoughts = [item for item in items if item["type"] == "reasoning"]
    why = found["incomplete_details"]
    return Heard(
        text="".join(part["text"] for item in said for part in item["content"]),
        thought="".join(
            part["text"] for item in thoughts for part in item["summary"] or item.get("content", ())
        ),
        calls=[(item["name"], json.loads(item["arguments"])) for item in calls],
        stop=_WHY_INCOMPLETE[why["reason"]] if why else "tool_calls" if calls else "stop",
        asked=usage["input_tokens"],
        answered=usage["output_tokens"],
        cached=usage["input_tokens_details"]["cached_tokens"],
        reasoning=usage["output_tokens_details"]["reasoning_tokens"],
    )


_WHOLE: Final = {
    "chat": lambda body: _chat(whole_chat_message(body)),
    "responses": lambda body: _response(json.loads(body)),
    "messages": lambda body: _message(json.loads(body)),
}
_STREAMED: Final = {
    "chat": lambda sent: _chat(chat_message(sent)),
    "responses": lambda sent: _response(told(sent)[-1]["response"]),
    "messages": lambda sent: _message(message(sent)),
}

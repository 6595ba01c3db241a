"""Answers and frames of Bedrock, and botocore's model of its service, as the dialect's tests need them."""

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import botocore.session  # type: ignore[import-untyped]
import msgspec
from botocore.validate import ParamValidator  # type: ignore[import-untyped]

from adapters.bedrock import BedrockUpstream
from adapters.dialect import Target
from adapters.middle.conversation import Conversation
from adapters.middle.event import Alive, MiddleEvent
from adapters.sse import Signal
from tests.dialect_wire import SERVED
from tests.unit.gemini_wire import conversation

CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OLD_CLAUDE = "anthropic.claude-3-haiku-20240307-v1:0"
NEWEST_CLAUDE = "global.anthropic.claude-fable-5-5"
NOVA = "amazon.nova-pro-v1:0"
NOVA_2 = "us.amazon.nova-2-lite-v1:0"
MISTRAL = "mistral.mistral-large-2407-v1:0"
LLAMA = "meta.llama3-3-70b-instruct-v1:0"
GPT_OSS = "openai.gpt-oss-120b-1:0"
PROFILE = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/ab12cd34ef56"

UPSTREAM = BedrockUpstream()
TARGET = Target(
    upstream_model=CLAUDE,
    served_model=SERVED,
    paths={"chat": b"/model/{model}/{method}"},
    headers=[(b"content-type", b"application/json"), (b"authorization", b"Bearer key")],
)


def target(model: str, **changes: Any) -> Target:
    return msgspec.structs.replace(TARGET, upstream_model=model, **changes)


@cache
def request_shape() -> Any:
    """AWS's own description of a request; read once, for it is long."""
    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    return service.operation_model("Converse").input_shape


def sent(asked: Conversation, model: str = CLAUDE, **changes: Any) -> Any:
    """The body of the request for a conversation, as JSON that AWS's own check finds nothing wrong with."""
    body = json.loads(UPSTREAM.encode(asked, target(model, **changes), stream=False).body)
    shape = request_shape()
    report = ParamValidator().validate({"modelId": model, **body}, shape)
    assert not report.has_errors(), report.generate_report()
    unknown = set(body) - set(shape.members)
    assert not unknown
    _check_names(body, shape)
    return body


def _check_names(value: Any, shape: Any) -> None:
    """Fail for a field that the service does not know; AWS's check lets it pass inside a structure."""
    if shape.type_name == "structure" and not shape.is_document_type:
        assert set(value) <= set(shape.members), (shape.name, set(value))
        for name, inner in value.items():
            _check_names(inner, shape.members[name])
    elif shape.type_name == "list":
        for item in value:
            _check_names(item, shape.member)
    elif shape.type_name == "string" and shape.enum:
        assert value in shape.enum, (shape.name, value)


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message of AWS's event stream, with its checksums."""
    packed = b"".join(
        struct.pack("!B", len(name)) + name.encode() + struct.pack("!BH", 7, len(value)) + value
        for name, value in ((name, text.encode()) for name, text in headers.items())
    )
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return message + struct.pack("!I", zlib.crc32(message))


def event(name: str, **fields: Any) -> bytes:
    headers = {
        ":event-type": name,
        ":content-type": "application/json",
        ":message-type": "event",
    }
    return frame(headers, json.dumps({**fields, "p": "abcdefgh"}).encode())


def exception(name: str, **fields: Any) -> bytes:
    headers = {
        ":exception-type": name,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return frame(headers, json.dumps(fields).encode())


START = event("messageStart", role="assistant")


def piece(index: int, **delta: Any) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=index, delta=delta)


def thought(index: int, **delta: Any) -> bytes:
    return piece(index, reasoningContent=delta)


def end_of(index: int) -> bytes:
    return event("contentBlockStop", contentBlockIndex=index)


def call(index: int, call_id: str, name: str, *fragments: str) -> bytes:
    """The frames of one call."""
    use = {"toolUseId": call_id, "name": name}
    head = event("contentBlockStart", contentBlockIndex=index, start={"toolUse": use})
    pieces = [piece(index, toolUse={"input": fragment}) for fragment in fragments]
    return b"".join([head, *pieces, end_of(index)])


def stop(reason: str = "end_turn", **fields: Any) -> bytes:
    return event("messageStop", stopReason=reason, **fields)


def usage(asked: int = 5, said: int = 7, **counts: int) -> dict[str, int]:
    total = asked + said + sum(counts.values())
    return {"inputTokens": asked, "outputTokens": said, "totalTokens": total, **counts}


def metadata(**counts: int) -> bytes:
    return event("metadata", usage=usage(**counts), metrics={"latencyMs": 1})


def read(
    pieces: Iterable[bytes], asked: Conversation | None = None, *, alive: bool = False
) -> list[MiddleEvent]:
    """The events of a whole stream that arrives in these pieces; those of mere life only if wanted."""
    source = UPSTREAM.event_source(asked or conversation())
    events = []
    for data in (*(data for data in pieces if data), b""):
        source.receive_data(data)
        while not isinstance(found := source.next_event(), Signal):
            events.append(found)
            assert len(events) <= 10_000
    return [found for found in events if alive or not isinstance(found, Alive)]


def whole(*content: Any, reason: str = "end_turn", **fields: Any) -> bytes:
    answer = {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": reason,
        "usage": usage(),
        "metrics": {"latencyMs": 1},
        **fields,
    }
    return json.dumps(answer).encode()

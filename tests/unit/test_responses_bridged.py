"""What Codex sends and reads, over upstreams of other dialects."""

import json
from typing import Any

import pytest

from adapters.anthropic.upstream import AnthropicUpstream
from adapters.bridge import Bridge
from adapters.dialect import EventKind, Usage
from adapters.middle.halves import Upstream
from adapters.openai.upstream import OpenAIUpstream
from adapters.responses.face import ResponsesFace
from tests.dialect_wire import TARGET, body_of, frames, kinds, named, stream
from tests.unit.responses_wire import LOOK, MCP, PATCH, accumulated, asked, told

THOUGHT = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABnotours"}
CODEX: dict[str, Any] = {
    "instructions": "You are a coding agent.",
    "tools": [LOOK, PATCH, MCP, {"type": "web_search", "external_web_access": False}],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "0199",
    "text": {"verbosity": "low"},
    "client_metadata": {"session": "1"},
}
SAID = [
    {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Rules."}]},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Fix it."}]},
    THOUGHT,
    {"type": "custom_tool_call", "call_id": "c1", "name": "apply_patch", "input": "*** Begin"},
    {"type": "custom_tool_call_output", "call_id": "c1", "output": "Done."},
]
ANTHROPIC = b"".join(
    [
        named(
            "message_start",
            message={"id": "msg_1", "usage": {"input_tokens": 20, "cache_read_input_tokens": 4}},
        ),
        named("content_block_start", index=0, content_block={"type": "thinking", "thinking": ""}),
        named("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
        named("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "s"}),
        named("content_block_stop", index=0),
        named("content_block_start", index=1, content_block={"type": "text", "text": ""}),
        named("content_block_delta", index=1, delta={"type": "text_delta", "text": "Patching."}),
        named("content_block_stop", index=1),
        named(
            "content_block_start",
            index=2,
            content_block={"type": "tool_use", "id": "toolu_1", "name": "apply_patch", "input": {}},
        ),
        named(
            "content_block_delta",
            index=2,
            delta={"type": "input_json_delta", "partial_json": '{"input":"*** '},
        ),
        named(
            "content_block_delta",
            index=2,
            delta={"type": "input_json_delta", "partial_json": 'End"}'},
        ),
        named("content_block_stop", index=2),
        named("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 9}),
        named("message_stop"),
    ]
)


@pytest.mark.parametrize("upstream", [AnthropicUpstream(), OpenAIUpstream()])
def test_what_codex_sends_can_be_said_to_every_upstream(upstream: Upstream) -> None:
    encoded = Bridge(ResponsesFace(), upstream).encode_request(asked(SAID, **CODEX), TARGET)
    body = body_of(encoded)
    tools = [tool.get("name") or tool["function"]["name"] for tool in body["tools"]]
    assert tools == ["look", "apply_patch", "mcp__files__look"]
    assert "gAAAAAB" not in json.dumps(body)
    assert "store" not in body


def test_codex_reads_an_anthropic_stream_to_its_end_and_sends_its_thoughts_back() -> None:
    bridge = Bridge(ResponsesFace(), AnthropicUpstream())
    events = stream(bridge, asked(SAID, **CODEX), [ANTHROPIC])
    assert EventKind.DONE in kinds(events)
    found = told(frames(events))
    created, end = found[0]["response"], found[-1]["response"]
    assert (found[0]["type"], found[-1]["type"]) == ("response.created", "response.completed")
    assert created["id"] == end["id"]
    assert end["usage"]["input_tokens_details"]["cached_tokens"] == 4
    assert [item["type"] for item in end["output"]] == ["reasoning", "message", "custom_tool_call"]
    assert end["output"][2]["input"] == "*** End"
    again = [*SAID, *end["output"]]
    again.append({"type": "custom_tool_call_output", "call_id": "toolu_1", "output": "Done."})
    body = body_of(bridge.encode_request(asked(again, **CODEX), TARGET))
    thoughts = [
        block
        for message in body["messages"]
        if message["role"] == "assistant"
        for block in message["content"]
        if block["type"] == "thinking"
    ]
    assert thoughts == [{"type": "thinking", "thinking": "hm", "signature": "s"}]


def test_the_sdk_reads_an_anthropic_stream() -> None:
    bridge = Bridge(ResponsesFace(), AnthropicUpstream())
    found = accumulated(frames(stream(bridge, asked(SAID, **CODEX), [ANTHROPIC])))
    assert found.output_text == "Patching."


def test_a_stream_that_is_cut_at_the_callers_means_ends_as_incomplete() -> None:
    bridge = Bridge(ResponsesFace(), AnthropicUpstream())
    decoder = bridge.stream_decoder(asked(SAID, **CODEX), TARGET)
    until_text = ANTHROPIC[: ANTHROPIC.index(b"Patching.") + 20]
    decoder.receive_data(until_text[: until_text.rindex(b"\n\n") + 2])
    sent = b""
    while hasattr(event := decoder.next_event(), "frame"):
        sent += event.frame
    *_, end = told(sent + decoder.cut_frames(Usage(input_tokens=20, output_tokens=2)))
    assert end["type"] == "response.incomplete"
    assert end["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert end["response"]["usage"]["output_tokens"] == 2

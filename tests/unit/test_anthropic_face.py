"""Anthropic's Messages as a face: what its clients write, and the answers and events that they read."""

import base64
import json
from typing import Any

import msgspec
import pytest

from adapters.anthropic.error_body import error_body, error_event
from adapters.anthropic.face import MessagesFace
from adapters.anthropic.request import decode_call
from adapters.dialect import BadCall, Usage
from adapters.middle.answer import Choice, StopReason, WholeAnswer
from adapters.middle.conversation import (
    CacheMark,
    Conversation,
    Media,
    OutputFormat,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from adapters.middle.event import (
    Alive,
    Begun,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.middle.signature import with_signature
from tests.dialect_wire import SERVED, TARGET, assistant, message, messages, sent, user

HI = user("Hi")
USAGE = Usage(input_tokens=9, output_tokens=5, cached_tokens=3, cache_write_tokens=2)
TOLD = {
    "input_tokens": 4,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 3,
    "output_tokens": 5,
}


def read(*said: dict[str, Any], **fields: Any) -> Conversation:
    return MessagesFace().conversation(messages(*said, **fields))


def refused(*said: dict[str, Any], **fields: Any) -> str:
    """The field that is at fault."""
    with pytest.raises(BadCall) as caught:
        read(*said, **fields)
    assert caught.value.param is not None
    assert caught.value.message.startswith(caught.value.param.split("[")[0].split(".")[0])
    return caught.value.param


# --- the call ---------------------------------------------------------------------------------------


def test_a_call_tells_the_gateway_what_it_must_know() -> None:
    call = messages(stream=True, max_tokens=7)
    assert (call.face, call.endpoint, call.model) == ("messages", "chat", SERVED)
    assert (call.stream, call.output_cap, call.choices, call.include_usage) == (True, 7, 1, True)


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "7"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"model": None}, "model"),
        ({"stream": 1}, "stream"),
        ({"system": 7}, "system"),
        ({"tools": {}}, "tools"),
    ],
)
def test_a_body_of_a_wrong_form_is_refused_by_its_field(
    changes: dict[str, Any], param: str
) -> None:
    body = {"model": "m", "max_tokens": 7, "messages": [HI], **changes}
    with pytest.raises(BadCall) as caught:
        decode_call(json.dumps(body).encode())
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadCall) as caught:
        decode_call(body)
    assert caught.value.code == "invalid_json"


# --- messages ---------------------------------------------------------------------------------------


def test_the_systems_words_are_collected_from_wherever_they_stand() -> None:
    words = [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]
    amid = {"type": "mid_conv_system", "content": [{"type": "text", "text": "d"}]}
    found = read(
        HI,
        {"role": "system", "content": "c"},
        user([amid, {"type": "text", "text": "and?"}]),
        system=words,
    )
    assert found.system == (Text(text="b", cache=CacheMark()), Text(text="c"), Text(text="d"))
    assert found.turns[1] == Turn("user", (Text(text="and?"),))
    assert read(system="a").system == (Text(text="a"),)


def source(**fields: Any) -> dict[str, Any]:
    return {"source": fields}


PLAIN = base64.b64encode("é".encode()).decode()
BLOCKS: dict[str, tuple[dict[str, Any], Part]] = {
    "text": ({"type": "text", "text": "a"}, Text(text="a")),
    "a marked text": (
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        Text(text="a", cache=CacheMark("1h")),
    ),
    "an image's bytes": (
        {"type": "image", **source(type="base64", media_type="image/png", data="AAAA")},
        Media(kind="image", data="AAAA", media_type="image/png"),
    ),
    "an image's address": (
        {"type": "image", **source(type="url", url="https://h/i")},
        Media(kind="image", url="https://h/i"),
    ),
    "a document": (
        {
            "type": "document",
            "title": "a.pdf",
            **source(type="base64", media_type="application/pdf", data="AAAA"),
        },
        Media(kind="file", data="AAAA", media_type="application/pdf", name="a.pdf"),
    ),
    "a document of text": (
        {"type": "document", **source(type="text", media_type="text/plain", data="é")},
        Media(kind="file", data=PLAIN, media_type="text/plain"),
    ),
    "thinking": (
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        Reasoning(text="hm", signature="c2ln"),
    ),
    "unsigned thinking": (
        {"type": "thinking", "thinking": "hm", "signature": ""},
        Reasoning(text="hm"),
    ),
    "redacted thinking": ({"type": "redacted_thinking", "data": "x"}, Reasoning(redacted="x")),
    "a call": (
        {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}},
        ToolCall(id="c1", name="look", arguments='{"a": 1}'),
    ),
    "a call with a signature": (
        {"type": "tool_use", "id": with_signature("c1", "gemini:s"), "name": "look", "input": {}},
        ToolCall(id="c1", name="look", signature="gemini:s"),
    ),
}


@pytest.mark.parametrize(("block", "part"), BLOCKS.values(), ids=BLOCKS.keys())
def test_every_block_is_read(block: dict[str, Any], part: Part) -> None:
    assert read(user([block])).turns == (Turn("user", (part,)),)


def test_results_get_the_name_of_the_call_and_keep_what_they_hold() -> None:
    hidden = with_signature("c1", "gemini:s")
    image = BLOCKS["an image's address"]
    found = read(
        HI,
        assistant([{"type": "tool_use", "id": hidden, "name": "look", "input": {}}]),
        user(
            [
                {
                    "type": "tool_result",
                    "tool_use_id": hidden,
                    "content": [{"type": "text", "text": "a"}, image[0]],
                    "is_error": True,
                },
                {"type": "tool_result", "tool_use_id": hidden, "content": "b"},
                {"type": "tool_result", "tool_use_id": hidden},
            ]
        ),
    )
    seen = (Text(text="a"), image[1])
    assert found.turns[2].parts == (
        ToolResult(call_id="c1", name="look", parts=seen, is_error=True),  # type: ignore[arg-type]
        ToolResult(call_id="c1", name="look", parts=(Text(text="b"),)),
        ToolResult(call_id="c1", name="look"),
    )


BAD_MESSAGES: dict[str, tuple[dict[str, Any], str]] = {
    "an unknown role": ({"role": "tool", "content": "a"}, "messages[0].role"),
    "no content": ({"role": "user"}, "messages[0]"),
    "an unknown block": (user([{"type": "container_upload"}]), "messages[0].content[0]"),
    "a text without text": (user([{"type": "text"}]), "messages[0].content[0]"),
    "a file by its id": (
        user([{"type": "image", **source(type="file", file_id="f")}]),
        "messages[0].content[0].source",
    ),
    "a call with no object": (
        user([{"type": "tool_use", "id": "c1", "name": "look", "input": [1]}]),
        "messages[0].content[0].input",
    ),
    "a result without a call": (
        user([{"type": "tool_result", "tool_use_id": "c1"}]),
        "messages[0].content[0].tool_use_id",
    ),
    "an image of the system's": (
        {"role": "system", "content": [BLOCKS["an image's address"][0]]},
        "messages[0]",
    ),
}


@pytest.mark.parametrize(("said", "param"), BAD_MESSAGES.values(), ids=BAD_MESSAGES.keys())
def test_a_message_that_makes_no_sense_is_refused_by_its_place(
    said: dict[str, Any], param: str
) -> None:
    assert refused(said) == param


# --- the other fields -------------------------------------------------------------------------------

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
RAW_SCHEMA = msgspec.Raw(json.dumps(SCHEMA).encode())
TOOL = {"name": "look", "description": "d", "input_schema": SCHEMA}

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sampling": (
        {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
        {"temperature": 0.5, "top_p": 0.9, "top_k": 3},
    ),
    "a cap": ({"max_tokens": 7}, {"most_tokens": 7}),
    "stops": ({"stop_sequences": ["a"]}, {"stop": ("a",)}),
    "who asks": (
        {"metadata": {"user_id": "u"}, "service_tier": "auto"},
        {"user": "u", "service_tier": "auto"},
    ),
    "a budget": (
        {"thinking": {"type": "enabled", "budget_tokens": 2000}},
        {"thinking": Thinking(budget_tokens=2000)},
    ),
    "no thinking": ({"thinking": {"type": "disabled"}}, {"thinking": Thinking(effort="none")}),
    "adaptive thinking": (
        {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "high"},
        },
        {"thinking": Thinking(effort="high", summary="summarized")},
    ),
    "an effort alone": ({"output_config": {"effort": "low"}}, {"thinking": Thinking(effort="low")}),
    "a form": (
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"format": OutputFormat(kind="json_schema", schema=RAW_SCHEMA, strict=True)},
    ),
    "a form where it used to stand": (
        {"output_format": {"type": "json_schema", "schema": SCHEMA}},
        {"format": OutputFormat(kind="json_schema", schema=RAW_SCHEMA, strict=True)},
    ),
    "a tool": (
        {"tools": [{**TOOL, "type": "custom", "cache_control": {"type": "ephemeral"}}]},
        {"tools": (Tool(name="look", description="d", parameters=RAW_SCHEMA, cache=CacheMark()),)},
    ),
    "nulls": (
        dict.fromkeys(("temperature", "tools", "thinking", "metadata", "system", "x"), None),
        {"temperature": None, "tools": (), "thinking": None, "user": None, "extra": {}},
    ),
    "what no struct names": (
        {"context_management": {"a": 1}},
        {"extra": {"context_management": msgspec.Raw(b'{"a": 1}')}},
    ),
}


@pytest.mark.parametrize(("written", "expected"), FIELDS.values(), ids=FIELDS.keys())
def test_every_wish_is_read(written: dict[str, Any], expected: dict[str, Any]) -> None:
    found = read(**written)
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("written", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "none"}, ToolChoice("none"), None),
        ({"type": "any", "disable_parallel_tool_use": True}, ToolChoice("required"), False),
        ({"type": "tool", "name": "look"}, ToolChoice("named", "look"), None),
    ],
)
def test_every_choice_of_tools_is_read(
    written: dict[str, Any], choice: ToolChoice, parallel: bool | None
) -> None:
    found = read(tools=[TOOL], tool_choice=written)
    assert (found.tool_choice, found.parallel_calls) == (choice, parallel)


BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "a tool that runs at Anthropic": (
        {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
        "tools[0]",
    ),
    "a schema of no object": (
        {"tools": [{"name": "look", "input_schema": {"type": "string"}}]},
        "tools[0].input_schema",
    ),
    "an unknown choice": ({"tools": [TOOL], "tool_choice": {"type": "some"}}, "tool_choice"),
    "servers of tools": ({"mcp_servers": [{"url": "https://h"}]}, "mcp_servers"),
    "a container": ({"container": "c"}, "container"),
    "an unknown effort": ({"output_config": {"effort": "some"}}, "output_config.effort"),
    "an unknown form": ({"output_config": {"format": {"type": "grammar"}}}, "output_config"),
}


@pytest.mark.parametrize(("written", "param"), BAD_FIELDS.values(), ids=BAD_FIELDS.keys())
def test_a_wish_that_cannot_be_is_refused_by_its_name(written: dict[str, Any], param: str) -> None:
    assert refused(**written) == param


# --- answers ----------------------------------------------------------------------------------------


def written(*parts: Part, stop: StopReason = "stop", **fields: Any) -> dict[str, Any]:
    sequence = fields.pop("stop_sequence", None)
    choice = Choice(parts=parts, stop=stop, stop_sequence=sequence)
    answer = WholeAnswer(choices=(choice,), **fields)
    found: dict[str, Any] = json.loads(MessagesFace().write_answer(messages(), TARGET, answer))
    return found


def test_a_whole_answer_is_by_the_book() -> None:
    assert written(Text(text="Hi"), id="chatcmpl-1", usage=USAGE) == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": SERVED,
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": TOLD,
    }


def test_every_part_becomes_a_block() -> None:
    found = written(
        Reasoning(text="hm", signature="c2ln"),
        Reasoning(text="hm"),
        Reasoning(redacted="x"),
        Refusal(text="No."),
        ToolCall(id="c1", name="look", arguments='{"a":1}', signature="gemini:s"),
    )
    assert found["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "No."},
        {
            "type": "tool_use",
            "id": with_signature("c1", "gemini:s"),
            "name": "look",
            "input": {"a": 1},
        },
    ]
    assert (found["stop_reason"], found["id"]) == ("tool_use", "msg_r1")


def test_a_stop_sequence_is_told() -> None:
    found = written(Text(text="a"), stop_sequence="END")
    assert (found["stop_reason"], found["stop_sequence"]) == ("stop_sequence", "END")


# --- events -----------------------------------------------------------------------------------------

STORY: tuple[MiddleEvent, ...] = (
    Begun(id="chatcmpl-1"),
    UsageTold(Usage(input_tokens=9, cached_tokens=3, cache_write_tokens=2)),
    PartBegun(part=0, kind="reasoning"),
    Grown(part=0, text="hm"),
    Grown(part=0, signature="c2ln"),
    PartEnded(part=0),
    PartBegun(part=1, kind="redacted"),
    Grown(part=1, text="x"),
    PartEnded(part=1),
    Alive(),
    PartBegun(part=2, kind="text"),
    Grown(part=2, text="H"),
    Grown(part=2, text="i"),
    PartEnded(part=2),
    PartBegun(part=3, kind="call", id="c1", name="look"),
    Grown(part=3, signature="gemini:s", text='{"a":'),
    Grown(part=3, text="1}"),
    PartEnded(part=3),
    PartBegun(part=4, kind="call", id="c2", name="wait"),
    PartEnded(part=4),
    Stopped(stop="stop"),
    UsageTold(USAGE),
)


def streamed(*events: MiddleEvent) -> bytes:
    writer = MessagesFace().event_writer(messages(stream=True), TARGET)
    return b"".join(writer.write(event) for event in events) + writer.close()


def test_a_client_puts_the_whole_message_together() -> None:
    assert message(streamed(*STORY)) == {
        "id": "chatcmpl-1",
        "type": "message",
        "role": "assistant",
        "model": SERVED,
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "text", "text": "Hi"},
            {
                "type": "tool_use",
                "id": with_signature("c1", "gemini:s"),
                "name": "look",
                "input": {"a": 1},
            },
            {"type": "tool_use", "id": "c2", "name": "wait", "input": {}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": TOLD,
    }


def test_the_events_come_in_the_order_of_the_book() -> None:
    names = [event.name for event in sent(streamed(*STORY))]
    text = [b"content_block_start", b"content_block_delta", b"content_block_delta"]
    assert names[:4] == [b"message_start", *text]
    assert names[-2:] == [b"message_delta", b"message_stop"]
    assert names.count(b"ping") == 1
    assert names.count(b"content_block_start") == names.count(b"content_block_stop") == 5


def test_the_first_event_has_the_usage_that_was_told_by_then() -> None:
    first = json.loads(sent(streamed(*STORY))[0].data)["message"]["usage"]
    assert first == {**TOLD, "output_tokens": 0}


def test_blocks_may_grow_side_by_side() -> None:
    found = message(
        streamed(
            Begun(),
            PartBegun(part=0, kind="call", id="a", name="look"),
            PartBegun(part=1, kind="call", id="b", name="look"),
            Grown(part=1, text="{}"),
            Grown(part=0, text='{"a":1}'),
            PartEnded(part=0),
            PartEnded(part=1),
            Stopped(stop="tool_calls"),
        )
    )
    assert {block["id"]: block["input"] for block in found["content"]} == {"a": {"a": 1}, "b": {}}


def test_a_refusal_is_text_and_its_reason() -> None:
    found = message(
        streamed(
            Begun(),
            PartBegun(part=0, kind="refusal"),
            Grown(part=0, text="No."),
            PartEnded(part=0),
            Stopped(stop="content_filter"),
        )
    )
    assert found["content"] == [{"type": "text", "text": "No."}]
    assert found["stop_reason"] == "refusal"


def test_a_message_ends_once() -> None:
    writer = MessagesFace().event_writer(messages(stream=True), TARGET)
    assert writer.close().count(b"event: message_stop") == 1
    assert writer.close() == b""


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_an_error_is_told_in_anthropics_words(status: int, type_: str) -> None:
    expected = {
        "type": "error",
        "error": {"type": type_, "message": "m"},
        "request_id": "r1",
    }
    assert json.loads(error_body(status, "m", request_id="r1")) == expected
    (event,) = sent(error_event(status, "m", request_id="r1"))
    assert (event.name, json.loads(event.data)) == (b"error", expected)

"""OpenAI's chat as an upstream: what clients of other faces say to it, and what they hear back."""

import base64
import json
from typing import Any

import pytest

from adapters.dialect import BadAnswer, BadCall, FailureKind, Usage
from adapters.middle.answer import Choice
from adapters.middle.conversation import (
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
    Ended,
    Failed,
    Grown,
    Malformed,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.openai.upstream import OpenAIUpstream
from tests.dialect_wire import body_of, events_of, target

HI = Turn("user", (Text(text="Hi"),))
TARGET = target("gpt-x", cap_field="max_completion_tokens")


def said(*turns: Turn, stream: bool = False, **fields: Any) -> dict[str, Any]:
    conversation = Conversation(turns=turns or (HI,), **fields)
    return body_of(OpenAIUpstream().encode(conversation, TARGET, stream=stream))


def messages(*parts: Part, role: Any = "user") -> list[dict[str, Any]]:
    found = said(HI, Turn(role, parts))["messages"]
    assert isinstance(found, list)
    return found[1:]


# --- requests ---------------------------------------------------------------------------------------


def test_a_plain_request_says_no_more_than_it_must() -> None:
    assert said() == {"model": "gpt-x", "messages": [{"role": "user", "content": "Hi"}]}


def test_a_stream_is_asked_for_its_usage_where_the_provider_takes_that() -> None:
    assert said(stream=True)["stream_options"] == {"include_usage": True}
    conversation = Conversation(turns=(HI,))
    shy = target("m", stream_usage=False)
    assert "stream_options" not in body_of(OpenAIUpstream().encode(conversation, shy, stream=True))


def test_the_systems_words_come_first() -> None:
    found = said(system=(Text(text="a"), Text(text="b")))["messages"]
    assert found[0] == {
        "role": "system",
        "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
    }


WISHES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a cap": ({"most_tokens": 5}, {"max_completion_tokens": 5}),
    "sampling": (
        {"temperature": 2.0, "top_p": 0.5, "seed": 7, "top_k": 3},
        {"temperature": 2.0, "top_p": 0.5, "seed": 7},
    ),
    "penalties": (
        {"frequency_penalty": 0.5, "presence_penalty": 0.0},
        {"frequency_penalty": 0.5, "presence_penalty": 0.0},
    ),
    "stops": ({"stop": ("a",)}, {"stop": ["a"]}),
    "choices": ({"choices": 2}, {"n": 2}),
    "probabilities": ({"logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
    "probabilities alone": ({"logprobs": 0}, {"logprobs": True}),
    "an effort": ({"thinking": Thinking(effort="low")}, {"reasoning_effort": "low"}),
    "the deepest effort": ({"thinking": Thinking(effort="max")}, {"reasoning_effort": "xhigh"}),
    "a budget, which models that do not reason refuse": (
        {"thinking": Thinking(budget_tokens=5000)},
        {},
    ),
    "who asks": (
        {"user": "u", "service_tier": "standard_only"},
        {"user": "u", "service_tier": "default"},
    ),
    "any object": (
        {"format": OutputFormat(kind="json_object")},
        {"response_format": {"type": "json_object"}},
    ),
    "a schema": (
        {"format": OutputFormat(kind="json_schema", schema=Tool(name="").parameters, strict=True)},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "answer",
                    "schema": {"type": "object", "properties": {}},
                    "strict": True,
                },
            }
        },
    ),
    "a tool": (
        {"tools": (Tool(name="look", description="d", strict=True),), "parallel_calls": False},
        {
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "look",
                        "parameters": {"type": "object", "properties": {}},
                        "description": "d",
                        "strict": True,
                    },
                }
            ],
            "parallel_tool_calls": False,
        },
    ),
    "parallel calls of nothing": ({"parallel_calls": False}, {}),
}


@pytest.mark.parametrize(("fields", "expected"), WISHES.values(), ids=WISHES.keys())
def test_every_wish_is_said(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    found = said(**fields)
    assert {name: found[name] for name in found.keys() - {"model", "messages"}} == expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("required"), "required"),
        (ToolChoice("none"), "none"),
        (ToolChoice("named", "look"), {"type": "function", "function": {"name": "look"}}),
    ],
)
def test_every_choice_of_tools_is_said(choice: ToolChoice, expected: Any) -> None:
    assert said(tools=(Tool(name="look"),), tool_choice=choice)["tool_choice"] == expected


CONTENT: dict[str, tuple[Part, dict[str, Any]]] = {
    "an image": (
        Media(kind="image", url="https://h/i", detail="low"),
        {"type": "image_url", "image_url": {"url": "https://h/i", "detail": "low"}},
    ),
    "an image's bytes": (
        Media(kind="image", data="AAAA", media_type="image/png"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
    ),
    "sound": (
        Media(kind="audio", data="AAAA", media_type="audio/mpeg"),
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
    ),
    "a file": (
        Media(kind="file", data="AAAA", media_type="application/pdf", name="a.pdf"),
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        },
    ),
    "a file's id": (
        Media(kind="file", file_id="file-1"),
        {"type": "file", "file": {"file_id": "file-1"}},
    ),
    "a file of text": (
        Media(kind="file", data=base64.b64encode("é".encode()).decode(), media_type="text/plain"),
        {"type": "text", "text": "é"},
    ),
}


@pytest.mark.parametrize(("part", "expected"), CONTENT.values(), ids=CONTENT.keys())
def test_every_kind_of_content_is_said(part: Part, expected: dict[str, Any]) -> None:
    assert messages(part) == [{"role": "user", "content": [expected]}]


@pytest.mark.parametrize(
    "part",
    [
        Media(kind="image", file_id="f"),
        Media(kind="file", url="https://h/a.pdf"),
        Media(kind="file", data="no base64", media_type="text/plain"),
        Media(kind="audio", url="https://h/a.mp3"),
    ],
)
def test_what_cannot_be_said_is_refused(part: Part) -> None:
    with pytest.raises(BadCall):
        messages(part)


def test_results_go_before_other_words_and_their_images_after() -> None:
    image = Media(kind="image", url="https://h/i")
    found = messages(
        Text(text="and?"),
        ToolResult(call_id="c1", name="look", parts=(Text(text="seen"), image)),
        ToolResult(call_id="c2", name="wait", is_error=True),
    )
    assert found == [
        {"role": "tool", "tool_call_id": "c1", "content": "seen"},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://h/i"}},
                {"type": "text", "text": "and?"},
            ],
        },
    ]


def test_an_assistants_turn_is_one_message() -> None:
    found = messages(
        Reasoning(text="mine"),
        Reasoning(text="another's", signature="c2ln"),
        Text(text="a"),
        Refusal(text="No."),
        ToolCall(id="c1", name="look", arguments='{"a":1}'),
        role="assistant",
    )
    assert found == [
        {
            "role": "assistant",
            "content": "a",
            "refusal": "No.",
            "reasoning_content": "mine",
            "tool_calls": [
                {
                    "id": "c1",
                    "type": "function",
                    "function": {"name": "look", "arguments": '{"a":1}'},
                }
            ],
        }
    ]


def test_an_assistant_that_only_thought_says_nothing() -> None:
    assert messages(Reasoning(text="hm", signature="c2ln"), role="assistant") == []


# --- answers ----------------------------------------------------------------------------------------


def answer(**message: Any) -> Choice:
    body = {"choices": [{"message": message, "finish_reason": message.pop("finish", "stop")}]}
    found = OpenAIUpstream().decode(Conversation(turns=(HI,)), json.dumps(body).encode())
    (choice,) = found.choices
    return choice


def test_a_whole_answer_is_read() -> None:
    body = {
        "id": "chatcmpl-1",
        "created": 7,
        "choices": [
            {
                "message": {
                    "content": "Hi",
                    "reasoning_content": "hm",
                    "tool_calls": [{"id": "c1", "function": {"name": "look", "arguments": ""}}],
                },
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 3},
        },
    }
    found = OpenAIUpstream().decode(Conversation(turns=(HI,)), json.dumps(body).encode())
    assert (found.id, found.created) == ("chatcmpl-1", 7)
    assert found.usage == Usage(input_tokens=9, output_tokens=5, cached_tokens=3)
    assert found.choices == (
        Choice(
            parts=(Reasoning(text="hm"), Text(text="Hi"), ToolCall(id="c1", name="look")),
            stop="tool_calls",
        ),
    )


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("function_call", "tool_calls"),
        ("eos", "stop"),
        (None, "stop"),
    ],
)
def test_every_reason_becomes_one_of_ours(reason: str | None, stop: str) -> None:
    assert answer(content="a", finish=reason).stop == stop


@pytest.mark.parametrize(
    ("message", "part"),
    [
        ({"content": [{"type": "text", "text": "a"}]}, Text(text="a")),
        ({"content": None, "refusal": "No."}, Refusal(text="No.")),
        ({"reasoning": "hm"}, Reasoning(text="hm")),
        (
            {"tool_calls": [{"function": {"name": "look", "arguments": '{"a'}}]},
            ToolCall(id="call_0", name="look", arguments='{"malformed_arguments":"{\\"a"}'),
        ),
    ],
)
def test_loose_imitations_are_read(message: dict[str, Any], part: Part) -> None:
    assert answer(**message).parts == (part,)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.INVALID),
        (b"<html>", FailureKind.INVALID),
        (b"{}", FailureKind.INVALID),
        (b'{"choices":7}', FailureKind.INVALID),
        (b'{"error":{"message":"m","code":"rate_limit_exceeded"}}', FailureKind.RATE_LIMITED),
    ],
)
def test_what_is_no_answer_is_a_failure_of_its_class(body: bytes, kind: FailureKind) -> None:
    with pytest.raises(BadAnswer) as caught:
        OpenAIUpstream().decode(Conversation(turns=(HI,)), body)
    assert caught.value.failure.kind is kind


# --- streams ----------------------------------------------------------------------------------------


def read(*data: str | dict[str, Any]) -> list[MiddleEvent]:
    pieces = [
        f"data: {found if isinstance(found, str) else json.dumps(found)}\n\n".encode()
        for found in data
    ]
    return events_of(OpenAIUpstream().event_source(Conversation(turns=(HI,))), pieces)


def chunk(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "created": 7,
        "choices": [{"index": index, "delta": delta, "finish_reason": finish}],
    }


def call(index: int | None = None, **fields: Any) -> dict[str, Any]:
    function = {name: fields.pop(name) for name in ("name", "arguments") if name in fields}
    place = {} if index is None else {"index": index}
    return {**place, **fields, "function": function}


BEGUN = Begun(id="chatcmpl-1", created=7)


def test_a_stream_of_reasoning_and_text_is_read_part_by_part() -> None:
    found = read(
        chunk(role="assistant", content=""),
        chunk(reasoning_content="h"),
        chunk(reasoning="m"),
        chunk(content="Hi"),
        chunk(finish="stop"),
        {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
        "[DONE]",
    )
    assert found == [
        BEGUN,
        PartBegun(part=0, kind="reasoning"),
        Grown(part=0, text="h"),
        Grown(part=0, text="m"),
        PartEnded(part=0),
        PartBegun(part=1, kind="text"),
        Grown(part=1, text="Hi"),
        PartEnded(part=1),
        Stopped(stop="stop"),
        UsageTold(Usage(input_tokens=1, output_tokens=2)),
        Ended(),
    ]


def test_a_text_ends_where_a_call_begins() -> None:
    found = read(chunk(content="a"), chunk(tool_calls=[call(0, id="c1", name="look")]))
    assert found[1:] == [
        PartBegun(part=0, kind="text"),
        Grown(part=0, text="a"),
        PartEnded(part=0),
        PartBegun(part=1, kind="call", id="c1", name="look"),
    ]


def test_calls_may_grow_side_by_side() -> None:
    found = read(
        chunk(tool_calls=[call(0, id="c1", name="look"), call(1, id="c2", name="wait")]),
        chunk(tool_calls=[call(1, arguments="{}"), call(0, arguments='{"a":1}')]),
        chunk(finish="stop"),
    )
    assert found == [
        BEGUN,
        PartBegun(part=0, kind="call", id="c1", name="look"),
        PartBegun(part=1, kind="call", id="c2", name="wait"),
        Grown(part=1, text="{}"),
        Grown(part=0, text='{"a":1}'),
        PartEnded(part=0),
        PartEnded(part=1),
        Stopped(stop="tool_calls"),
    ]


@pytest.mark.parametrize("index", [0, None])
def test_calls_that_all_have_one_number_are_told_apart_by_their_ids(index: int | None) -> None:
    found = read(
        chunk(tool_calls=[call(index, id="c1", name="look", arguments="{}")]),
        chunk(tool_calls=[call(index, id="c2", name="look", arguments="{}")]),
        chunk(finish="tool_calls"),
    )
    begun = [event for event in found if isinstance(event, PartBegun)]
    assert [(event.part, event.id) for event in begun] == [(0, "c1"), (1, "c2")]


def test_every_choice_has_parts_of_its_own() -> None:
    found = read(chunk(1, content="b"), chunk(0, content="a"), chunk(1, "length"), chunk(0, "stop"))
    assert [event for event in found if isinstance(event, Stopped)] == [
        Stopped(choice=1, stop="length"),
        Stopped(choice=0, stop="stop"),
    ]
    assert PartBegun(choice=1, part=0, kind="text") in found
    assert PartBegun(choice=0, part=0, kind="text") in found


def test_a_choice_that_has_ended_says_nothing_more() -> None:
    found = read(chunk(content="a", finish="stop"), chunk(content="b", finish="length"))
    assert found[-1] == Stopped(stop="stop")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        ('{"error":{"message":"m","type":"server_error"}}', FailureKind.OVERLOADED),
        ('{"error":{"message":"m","code":429}}', FailureKind.RATE_LIMITED),
        ('{"error":{"code":"insufficient_quota"}}', FailureKind.CREDENTIAL),
    ],
)
def test_an_error_in_a_stream_is_a_failure_of_its_class(data: str, kind: FailureKind) -> None:
    (found,) = read(data)
    assert isinstance(found, Failed)
    assert found.failure.kind is kind


def test_what_cannot_be_read_is_malformed_and_nothing_is_nothing() -> None:
    assert read("{", " ") == [Malformed(), Alive()]

"""OpenAI's chat as a face: what its clients may write, and what the middle holds of it."""

import json
from typing import Any

import msgspec
import pytest

from adapters.dialect import BadCall
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
from adapters.middle.signature import with_signature
from adapters.openai.face import ChatFace
from tests.dialect_wire import assistant, chat, function, function_call, user


def read(*messages: dict[str, Any], **fields: Any) -> Conversation:
    return ChatFace().conversation(chat(*messages, **fields))


def parts(*content: dict[str, Any]) -> tuple[Part, ...]:
    (turn,) = read(user(list(content))).turns
    return turn.parts


def refused(*messages: dict[str, Any], **fields: Any) -> str:
    """The field that is at fault."""
    with pytest.raises(BadCall) as caught:
        read(*messages, **fields)
    assert caught.value.param is not None
    assert caught.value.param.split("[")[0].split(".")[0] in caught.value.message
    return caught.value.param


# --- messages ---------------------------------------------------------------------------------------


def test_system_and_developer_are_collected_in_order_wherever_they_stand() -> None:
    found = read(
        {"role": "developer", "content": "one"},
        user("Hi"),
        {"role": "system", "content": [{"type": "text", "text": "two"}]},
        assistant("Yes"),
        {"role": "system", "content": ""},
    )
    assert found.system == (Text(text="one"), Text(text="two"))
    assert found.turns == (
        Turn("user", (Text(text="Hi"),)),
        Turn("assistant", (Text(text="Yes"),)),
    )


CONTENT: dict[str, tuple[dict[str, Any], Part]] = {
    "text": ({"type": "text", "text": "a"}, Text(text="a")),
    "marked text": (
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        Text(text="a", cache=CacheMark("1h")),
    ),
    "an image by its address": (
        {"type": "image_url", "image_url": {"url": "https://h/i.png", "detail": "low"}},
        Media(kind="image", url="https://h/i.png", detail="low"),
    ),
    "an image by its bytes": (
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA\nAA"}},
        Media(kind="image", data="AAAA", media_type="image/png"),
    ),
    "an image in short": (
        {"type": "image_url", "image_url": "https://h/i.png"},
        Media(kind="image", url="https://h/i.png"),
    ),
    "sound": (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        Media(kind="audio", data="AAAA", media_type="audio/mpeg"),
    ),
    "a file by its bytes": (
        {
            "type": "file",
            "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        },
        Media(kind="file", data="AA==", media_type="application/pdf", name="a.pdf"),
    ),
    "a file in bare base64": (
        {"type": "file", "file": {"file_data": "AA=="}},
        Media(kind="file", data="AA==", media_type="application/pdf"),
    ),
    "a file by its id": (
        {"type": "file", "file": {"file_id": "file-1"}},
        Media(kind="file", file_id="file-1"),
    ),
}


@pytest.mark.parametrize(("written", "part"), CONTENT.values(), ids=CONTENT.keys())
def test_every_kind_of_content_is_read(written: dict[str, Any], part: Part) -> None:
    assert parts(written) == (part,)


BAD_CONTENT: dict[str, dict[str, Any]] = {
    "an unknown type": {"type": "video_url", "video_url": {"url": "https://h/v"}},
    "a text without text": {"type": "text"},
    "an image at no address": {"type": "image_url", "image_url": {"url": "file:///i.png"}},
    "an image that is not base64": {"type": "image_url", "image_url": {"url": "data:image/png,A"}},
    "a file that is nowhere": {"type": "file", "file": {"filename": "a"}},
}


@pytest.mark.parametrize("written", BAD_CONTENT.values(), ids=BAD_CONTENT.keys())
def test_content_that_nobody_understands_is_refused_by_its_place(written: dict[str, Any]) -> None:
    found = refused(user("Hi"), user([{"type": "text", "text": "a"}, written]))
    assert found.startswith("messages[1].content[1]")


def test_an_assistant_says_reasoning_text_refusal_and_calls_in_this_order() -> None:
    (_, turn) = read(
        user("Hi"),
        assistant(
            [{"type": "text", "text": "Let me look."}, {"type": "refusal", "refusal": "No."}],
            reasoning_content="hm",
            tool_calls=[function_call("c1", "look", '{"a":1}'), function_call("c2", "wait", "")],
        ),
    ).turns
    assert turn.parts == (
        Reasoning(text="hm"),
        Text(text="Let me look."),
        Refusal(text="No."),
        ToolCall(id="c1", name="look", arguments='{"a":1}'),
        ToolCall(id="c2", name="wait"),
    )


@pytest.mark.parametrize("content", [None, "", []])
def test_nothing_said_beside_calls_is_no_text(content: Any) -> None:
    (_, turn) = read(user("Hi"), assistant(content, tool_calls=[function_call("c1", "look")])).turns
    assert turn.parts == (ToolCall(id="c1", name="look"),)


def test_reasoning_details_bring_back_what_the_provider_signed() -> None:
    details = [
        {"type": "reasoning.text", "text": "hm", "signature": "c2ln", "index": 0},
        {"type": "reasoning.encrypted", "data": "c2VjcmV0", "id": "r1"},
        {"type": "reasoning.summary", "summary": "in short"},
    ]
    (_, turn) = read(
        user("Hi"), assistant("Yes", reasoning_content="hm", reasoning_details=details)
    ).turns
    assert turn.parts == (
        Reasoning(text="hm", signature="c2ln"),
        Reasoning(redacted="c2VjcmV0", id="r1"),
        Reasoning(text="in short"),
        Text(text="Yes"),
    )


def test_results_of_tools_get_the_name_of_the_call() -> None:
    found = read(
        user("Hi"),
        assistant(tool_calls=[function_call("c1", "look"), function_call("c2", "wait")]),
        {"role": "tool", "tool_call_id": "c2", "content": "waited"},
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [
                {"type": "text", "text": "a"},
                {"type": "image_url", "image_url": {"url": "https://h/i.png"}},
            ],
        },
    )
    seen = (Text(text="a"), Media(kind="image", url="https://h/i.png"))
    assert found.turns[2:] == (
        Turn("user", (ToolResult(call_id="c2", name="wait", parts=(Text(text="waited"),)),)),
        Turn("user", (ToolResult(call_id="c1", name="look", parts=seen),)),
    )


def test_a_signature_in_the_id_of_a_call_is_taken_out_of_call_and_result() -> None:
    hidden = with_signature("c1", "gemini:c2ln")
    found = read(
        user("Hi"),
        assistant(tool_calls=[function_call(hidden, "look")]),
        {"role": "tool", "tool_call_id": hidden, "content": ""},
    )
    assert found.turns[1].parts == (ToolCall(id="c1", name="look", signature="gemini:c2ln"),)
    assert found.turns[2].parts == (ToolResult(call_id="c1", name="look"),)


def test_googles_own_field_for_signatures_is_read_too() -> None:
    call = function_call("c1", "look") | {
        "extra_content": {"google": {"thought_signature": "c2ln"}}
    }
    (_, turn) = read(user("Hi"), assistant(tool_calls=[call])).turns
    assert turn.parts == (ToolCall(id="c1", name="look", signature="gemini:c2ln"),)


def test_a_mark_of_a_whole_message_is_that_of_its_last_part() -> None:
    marked = user([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])
    (turn,) = read(marked | {"cache_control": {"type": "ephemeral"}}).turns
    assert turn.parts == (Text(text="a"), Text(text="b", cache=CacheMark()))


BAD_MESSAGES: dict[str, tuple[list[dict[str, Any]], str]] = {
    "an unknown role": ([{"role": "function", "content": "a"}], "messages[0].role"),
    "no role": ([{"content": "a"}], "messages[0]"),
    "content of a strange form": ([user(7)], "messages[0].content"),
    "an image of the system's": (
        [user("Hi"), {"role": "system", "content": [CONTENT["an image in short"][0]]}],
        "messages[1].content",
    ),
    "an image of the assistant's": (
        [user("Hi"), assistant([CONTENT["an image in short"][0]])],
        "messages[1].content",
    ),
    "a result without a call": (
        [user("Hi"), {"role": "tool", "tool_call_id": "c1", "content": "a"}],
        "messages[1].tool_call_id",
    ),
    "a call of no function": (
        [user("Hi"), assistant(tool_calls=[{"id": "c1", "type": "custom", "custom": {}}])],
        "messages[1].tool_calls[0]",
    ),
    "nothing but the system": ([{"role": "system", "content": "a"}], "messages"),
}


@pytest.mark.parametrize(("said", "param"), BAD_MESSAGES.values(), ids=BAD_MESSAGES.keys())
def test_a_message_that_makes_no_sense_is_refused_by_its_place(
    said: list[dict[str, Any]], param: str
) -> None:
    assert refused(*said) == param


# --- the other fields -------------------------------------------------------------------------------

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sampling": (
        {"temperature": 1.5, "top_p": 0.5, "top_k": 3, "seed": 7},
        {"temperature": 1.5, "top_p": 0.5, "top_k": 3, "seed": 7},
    ),
    "penalties": (
        {"frequency_penalty": -1, "presence_penalty": 1},
        {"frequency_penalty": -1.0, "presence_penalty": 1.0},
    ),
    "a cap": ({"max_tokens": 5}, {"most_tokens": 5}),
    "the newer cap": ({"max_tokens": 5, "max_completion_tokens": 7}, {"most_tokens": 7}),
    "one stop": ({"stop": "a"}, {"stop": ("a",)}),
    "stops": ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
    "choices": ({"n": 3}, {"choices": 3}),
    "probabilities": ({"logprobs": True, "top_logprobs": 4}, {"logprobs": 4}),
    "probabilities alone": ({"logprobs": True}, {"logprobs": 0}),
    "no probabilities": ({"logprobs": False}, {"logprobs": None}),
    "who asks": ({"user": "u", "service_tier": "flex"}, {"user": "u", "service_tier": "flex"}),
    "an effort": ({"reasoning_effort": "xhigh"}, {"thinking": Thinking(effort="xhigh")}),
    "an effort in an object": (
        {"reasoning": {"effort": "low", "summary": "detailed"}},
        {"thinking": Thinking(effort="low", summary="detailed")},
    ),
    "a budget": (
        {"reasoning": {"max_tokens": 9}},
        {"thinking": Thinking(budget_tokens=9, summary="auto")},
    ),
    "thinking as it likes": (
        {"reasoning": {"enabled": True}},
        {"thinking": Thinking(summary="auto")},
    ),
    "thinking that is not to be read": (
        {"reasoning": {"effort": "low", "exclude": True}},
        {"thinking": Thinking(effort="low")},
    ),
    "no thinking": ({"reasoning": {"enabled": False}}, {"thinking": Thinking(effort="none")}),
    "a budget in Anthropic's words": (
        {"thinking": {"type": "enabled", "budget_tokens": 9}},
        {"thinking": Thinking(budget_tokens=9, summary="auto")},
    ),
    "no thinking in Anthropic's words": (
        {"thinking": {"type": "disabled"}},
        {"thinking": Thinking(effort="none")},
    ),
    "plain text": ({"response_format": {"type": "text"}}, {"format": None}),
    "any object": (
        {"response_format": {"type": "json_object"}},
        {"format": OutputFormat(kind="json_object")},
    ),
    "a schema": (
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "n",
                    "schema": {"a": 1},
                    "strict": True,
                    "description": "d",
                },
            }
        },
        {
            "format": OutputFormat(
                kind="json_schema",
                name="n",
                schema=msgspec.Raw(b'{"a": 1}'),
                strict=True,
                description="d",
            )
        },
    ),
    "nulls": (
        dict.fromkeys(("temperature", "stop", "n", "tools", "tool_choice", "reasoning", "x"), None),
        {"temperature": None, "stop": (), "choices": 1, "tools": (), "thinking": None, "extra": {}},
    ),
    "what no struct names": (
        {"metadata": {"a": 1}, "stream": True},
        {"extra": {"metadata": msgspec.Raw(b'{"a": 1}')}},
    ),
}


@pytest.mark.parametrize(("written", "expected"), FIELDS.values(), ids=FIELDS.keys())
def test_every_wish_is_read(written: dict[str, Any], expected: dict[str, Any]) -> None:
    found = read(**written)
    assert {name: getattr(found, name) for name in expected} == expected


BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "too hot": ({"temperature": 2.1}, "temperature"),
    "too cold": ({"temperature": -0.1}, "temperature"),
    "beyond all": ({"top_p": 1.1}, "top_p"),
    "no choice at all": ({"n": 0}, "n"),
    "an unknown effort": ({"reasoning_effort": "some"}, "reasoning_effort"),
    "an unknown effort in an object": ({"reasoning": {"effort": "some"}}, "reasoning.effort"),
    "a stop that is a number": ({"stop": [7]}, "stop[0]"),
    "an unknown form": ({"response_format": {"type": "grammar"}}, "response_format"),
    "a form without its schema": ({"response_format": {"type": "json_schema"}}, "response_format"),
    "a schema that is none": (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": True}}},
        "response_format.json_schema.schema",
    ),
    "a tool that is no function": ({"tools": [{"type": "web_search"}]}, "tools[0]"),
    "parameters that are no object": (
        {"tools": [function(parameters={"type": "array"})]},
        "tools[0].function.parameters",
    ),
    "a choice among no tools": ({"tool_choice": "required"}, "tool_choice"),
    "parallel calls of no tools": ({"parallel_tool_calls": False}, "parallel_tool_calls"),
    "a choice of a tool that is not there": (
        {
            "tools": [function()],
            "tool_choice": {"type": "function", "function": {"name": "other"}},
        },
        "tool_choice",
    ),
    "a choice of another kind": (
        {"tools": [function()], "tool_choice": {"type": "allowed_tools"}},
        "tool_choice",
    ),
    "the older functions": ({"functions": [{"name": "a"}]}, "functions"),
    "an answer in sound": ({"audio": {"voice": "v"}}, "audio"),
}


@pytest.mark.parametrize(("written", "param"), BAD_FIELDS.values(), ids=BAD_FIELDS.keys())
def test_a_wish_that_makes_no_sense_is_refused_by_its_name(
    written: dict[str, Any], param: str
) -> None:
    assert refused(**written) == param


def test_tools_are_read_with_the_schema_of_an_object() -> None:
    schema = {"type": "object", "$defs": {"d": {"type": "string"}}}
    found = read(
        tools=[
            function("look", parameters=schema, description="d", strict=True),
            function("wait", cache_control={"type": "ephemeral"}),
        ],
        parallel_tool_calls=False,
    )
    assert found.tools == (
        Tool(
            name="look",
            description="d",
            parameters=msgspec.Raw(json.dumps(schema).encode()),
            strict=True,
        ),
        Tool(name="wait", cache=CacheMark()),
    )
    assert found.parallel_calls is False


@pytest.mark.parametrize(
    ("written", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        ({"type": "function", "function": {"name": "look"}}, ToolChoice("named", "look")),
    ],
)
def test_every_choice_of_tools_is_read(written: Any, choice: ToolChoice) -> None:
    assert read(tools=[function()], tool_choice=written).tool_choice == choice


def test_no_tools_and_the_choice_of_none_is_no_contradiction() -> None:
    assert read(tool_choice="none").tool_choice is None

"""Requests to Cohere."""

import json
from typing import Any

import msgspec
import pytest

from adapters.cohere.embedding import encode_embedding
from adapters.dialect import BadCall
from adapters.middle.conversation import (
    Media,
    OutputFormat,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from adapters.middle.embeddings import EmbeddingWish
from tests.unit.cohere_wire import TARGET, UPSTREAM, sent
from tests.unit.gemini_wire import conversation, model, tool, user


def messages(*turns: Turn) -> Any:
    return sent(conversation(*turns))["messages"]


def words(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


def test_a_plain_request_says_nothing_that_was_not_asked() -> None:
    request = UPSTREAM.encode(conversation(), TARGET, stream=True)
    assert (request.target, request.headers) == (b"/v2/chat", TARGET.headers)
    assert json.loads(request.body) == {
        "model": "command-a-reasoning-08-2025",
        "messages": [{"role": "user", "content": words("Hi")}],
        "stream": True,
    }


def test_system_text_comes_first_in_one_message() -> None:
    asked = conversation(system=(Text(text="Be brief."), Text(text=""), Text(text="Be kind.")))
    assert sent(asked)["messages"][0] == {"role": "system", "content": "Be brief.\n\nBe kind."}


def test_a_tool_loop_keeps_ids_plan_and_order() -> None:
    found = messages(
        user("go"),
        model(
            Reasoning(text="I will add."),
            Reasoning(text="Not mine.", signature="other"),
            ToolCall(id="1", name="add", arguments='{"a":1}'),
            ToolCall(id="2", name="now", arguments=""),
        ),
        user(
            "and then?",
            ToolResult(call_id="1", name="add", parts=(Text(text="3"),)),
            ToolResult(call_id="2", name="now", parts=(Text(text="noon"),), is_error=True),
        ),
    )
    assert found[1:] == [
        {
            "role": "assistant",
            "tool_plan": "I will add.",
            "tool_calls": [
                {
                    "id": "1",
                    "type": "function",
                    "function": {"name": "add", "arguments": '{"a":1}'},
                },
                {"id": "2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "1", "content": "3"},
        {"role": "tool", "tool_call_id": "2", "content": "noon"},
        {"role": "user", "content": words("and then?")},
    ]


def test_thoughts_go_back_as_thinking_where_nothing_was_called() -> None:
    found = messages(user("a"), model(Reasoning(text="hm"), "b", Refusal(text="No.")))
    assert found[1]["content"] == [
        {"type": "thinking", "thinking": "hm"},
        *words("b"),
        *words("No."),
    ]


@pytest.mark.parametrize("silent", [model(""), model(), model(Reasoning(text="x", signature="s"))])
def test_a_turn_that_says_nothing_is_left_out(silent: Turn) -> None:
    assert [message["role"] for message in messages(user("a"), silent, user(""))] == ["user"]


@pytest.mark.parametrize(
    ("media", "image_url"),
    [
        (
            Media(kind="image", data="QUJD", media_type="image/png"),
            {"url": "data:image/png;base64,QUJD"},
        ),
        (
            Media(kind="image", url="https://a.b/c.png", detail="low"),
            {"url": "https://a.b/c.png", "detail": "low"},
        ),
    ],
)
def test_images_go_by_bytes_or_address(media: Media, image_url: dict[str, str]) -> None:
    content = messages(user("See:", media))[0]["content"]
    assert content == [*words("See:"), {"type": "image_url", "image_url": image_url}]


IMAGE = Media(kind="image", data="QUJD", media_type="image/png")


@pytest.mark.parametrize(
    "turn",
    [
        user(Media(kind="audio", data="QUJD", media_type="audio/wav")),
        user(Media(kind="image", file_id="file-1")),
        user(ToolResult(call_id="1", name="add", parts=(IMAGE,))),
        user(ToolCall(id="1", name="add")),
        model(IMAGE),
        model(ToolResult(call_id="1", name="add")),
    ],
)
def test_what_cannot_be_said_is_refused(turn: Turn) -> None:
    with pytest.raises(BadCall) as refused:
        messages(turn)
    assert refused.value.param == "messages"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"most_tokens": 7}, {"max_tokens": 7}),
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"top_p": 1.0, "top_k": 3}, {"p": 0.99, "k": 3}),
        ({"top_p": 0.0}, {"p": 0.01}),
        ({"stop": ("a",)}, {"stop_sequences": ["a"]}),
        ({"seed": 5}, {"seed": 5}),
        (
            {"frequency_penalty": -1.0, "presence_penalty": 1.5},
            {"frequency_penalty": 0.0, "presence_penalty": 1.0},
        ),
        (
            {"format": OutputFormat(kind="json_object")},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {"format": OutputFormat(kind="json_schema", schema=msgspec.Raw(b'{"type":"object"}'))},
            {"response_format": {"type": "json_object", "json_schema": {"type": "object"}}},
        ),
        ({"thinking": Thinking(effort="none")}, {"thinking": {"type": "disabled"}}),
        ({"thinking": Thinking(effort="high")}, {"thinking": {"type": "enabled"}}),
        (
            {"thinking": Thinking(budget_tokens=9)},
            {"thinking": {"type": "enabled", "token_budget": 9}},
        ),
        ({"extra": {"priority": msgspec.Raw(b"2"), "x": msgspec.Raw(b"1")}}, {"priority": 2}),
    ],
)
def test_settings_have_coheres_names_and_ranges(
    fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    body = sent(conversation(**fields))
    assert {name: body[name] for name in body.keys() - {"model", "messages", "stream"}} == expected


def test_a_model_that_cannot_think_is_not_asked_to() -> None:
    asked = conversation(thinking=Thinking(effort="high"))
    told = msgspec.structs.replace(TARGET, upstream_model="command-r7b-12-2024")
    assert "thinking" not in sent(asked, told)


@pytest.mark.parametrize(
    ("choice", "names", "expected"),
    [
        (None, ["add", "sub"], None),
        (ToolChoice("auto"), ["add", "sub"], None),
        (ToolChoice("none"), ["add", "sub"], "NONE"),
        (ToolChoice("required"), ["add", "sub"], "REQUIRED"),
        (ToolChoice("named", "sub"), ["sub"], "REQUIRED"),
    ],
)
def test_the_choice_of_functions_is_said_or_shown(
    choice: ToolChoice | None, names: list[str], expected: str | None
) -> None:
    tools = (tool("add", description="Adds."), tool("sub"))
    body = sent(conversation(tools=tools, tool_choice=choice))
    assert [found["function"]["name"] for found in body["tools"]] == names
    assert body.get("tool_choice") == expected
    assert "strict_tools" not in body


def test_functions_are_strict_only_if_all_are() -> None:
    assert sent(conversation(tools=(tool("a", strict=True),)))["strict_tools"] is True
    assert "strict_tools" not in sent(conversation(tools=(tool("a", strict=True), tool("b"))))


SCHEMA = msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')
FORM = OutputFormat(kind="json_schema", schema=SCHEMA)


def test_beside_functions_the_form_is_one_of_them() -> None:
    for choice in (None, ToolChoice("auto"), ToolChoice("required")):
        body = sent(conversation(tools=(tool("add"),), tool_choice=choice, format=FORM))
        names = [found["function"]["name"] for found in body["tools"]]
        assert names == ["add", "give_answer"]
        assert body["tool_choice"] == "REQUIRED"
        assert "response_format" not in body
        assert body["tools"][1]["function"]["parameters"] == json.loads(bytes(SCHEMA))


def test_a_call_that_the_client_demands_goes_before_the_form() -> None:
    choice = ToolChoice("named", "add")
    body = sent(conversation(tools=(tool("add"),), tool_choice=choice, format=FORM))
    assert [found["function"]["name"] for found in body["tools"]] == ["add"]
    assert "response_format" not in body


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"tools": (tool(),), "tool_choice": ToolChoice("none"), "format": FORM},
            "response_format",
        ),
        ({"choices": 2}, "n"),
        ({"logprobs": 0}, "logprobs"),
        ({"tools": (tool(),), "format": OutputFormat(kind="json_object")}, "response_format"),
        ({"tools": (tool(),), "tool_choice": ToolChoice("named", "x")}, "tool_choice"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadCall) as refused:
        sent(conversation(**fields))
    assert refused.value.param == param


def test_texts_are_embedded_as_documents_unless_told_otherwise() -> None:
    request = encode_embedding(["a", "b"], TARGET, EmbeddingWish(dimensions=256))
    assert request.target == b"/v2/embed"
    assert json.loads(request.body) == {
        "model": TARGET.upstream_model,
        "texts": ["a", "b"],
        "input_type": "search_document",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }
    for said in ("search_query", "query", "retrieval.query"):
        wish = EmbeddingWish(input_type=said, extra={"truncate": msgspec.Raw(b'"NONE"')})
        other = json.loads(encode_embedding(["a"], TARGET, wish).body)
        assert (other["input_type"], other["truncate"]) == ("search_query", "NONE")
        assert "output_dimension" not in other

"""When the simulated model calls tools, and what it fills their parameters with."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.simulator.choices import Choice, chat_choices
from router.simulator.fields import ChatFields
from router.simulator.refusal import Refusal
from router.simulator.schema_example import example

RESULT = [
    {"role": "user", "content": "Weather?"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "call_1"}]},
    {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"},
]


def tool(name: str, **properties: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def answer(content: str = "Hello", **fields: Any) -> Choice:
    body = {"model": "m", "messages": [{"role": "user", "content": content}], **fields}
    return chat_choices(msgspec.convert(body, ChatFields), tokens=None)[0]


def called(content: str = "Hello", **fields: Any) -> list[str]:
    return [call.name for call in answer(content, **fields).calls]


TWO = [tool("get_weather"), tool("find_flight")]


def test_the_only_tool_is_called() -> None:
    assert called(tools=[tool("get_weather")]) == ["get_weather"]


@pytest.mark.parametrize("text", ["Please Get_Weather now", "please get weather now"])
def test_a_tool_whose_name_is_said_is_called(text: str) -> None:
    assert called(text, tools=TWO) == ["get_weather"]


def test_several_tools_are_called_when_several_are_named_and_that_is_allowed() -> None:
    text = "find flight and get weather"
    assert called(text, tools=TWO) == ["get_weather", "find_flight"]
    assert called(text, tools=TWO, parallel_tool_calls=False) == ["get_weather"]


def test_none_of_several_is_called_without_a_reason() -> None:
    assert called(tools=TWO) == []
    assert answer(tools=TWO).finish_reason == "stop"


def test_none_means_text() -> None:
    assert called("get_weather", tools=TWO, tool_choice="none") == []


def test_a_result_is_answered_with_text() -> None:
    reply = answer(messages=RESULT, tools=[tool("get_weather")])
    assert reply.calls == []
    assert "The tool answered “Sunny”." in reply.text


def test_after_a_result_the_only_tool_is_called_again_only_by_name() -> None:
    again = [*RESULT, {"role": "user", "content": "Thanks"}]
    assert called(messages=again, tools=[tool("get_weather")]) == []
    again[-1] = {"role": "user", "content": "get_weather for tomorrow"}
    assert called(messages=again, tools=[tool("get_weather")]) == ["get_weather"]


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "b"}}])
def test_a_forced_call_happens_even_after_a_result(choice: Any) -> None:
    expected = ["a"] if choice == "required" else ["b"]
    assert called(messages=RESULT, tools=[tool("a"), tool("b")], tool_choice=choice) == expected


@pytest.mark.parametrize(
    "choice", ["sometimes", {"type": "function", "function": {"name": "zzz"}}, {"type": "odd"}]
)
def test_a_choice_that_cannot_be_followed_is_refused(choice: Any) -> None:
    with pytest.raises(Refusal) as refused:
        answer(tools=TWO, tool_choice=choice)
    assert refused.value.error["param"] == "tool_choice"


def test_a_call_has_arguments_an_id_of_its_own_and_its_finish_reason() -> None:
    reply = answer("a b", tools=[tool("a", city={"type": "string"}), tool("b")])
    assert reply.finish_reason == "tool_calls"
    assert reply.tokens == []
    arguments = ["".join(call.fragments) for call in reply.calls]
    assert [msgspec.json.decode(text) for text in arguments] == [{"city": "example"}, {}]
    assert len({call.id for call in reply.calls}) == 2


def test_a_token_limit_breaks_arguments_off() -> None:
    tools = [tool("a", city={"type": "string"}), tool("b")]
    reply = answer("a b", tools=tools, max_tokens=2)
    assert reply.finish_reason == "length"
    assert [call.name for call in reply.calls] == ["a"]
    assert reply.produced == 2


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "example"),
        ({"type": "string"}, "example"),
        ({"type": "string", "maxLength": 3}, "exa"),
        ({"type": "string", "minLength": 9}, "examplexx"),
        ({"type": "string", "format": "date"}, "2026-01-01"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 4.5}, 5),
        ({"type": "number", "maximum": 0.5}, 0.5),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": 7}, 7),
        ({"type": "array", "items": {"type": "integer"}}, [1]),
        ({"type": "array", "minItems": 2}, ["example", "example"]),
        ({"type": "array", "maxItems": 0}, []),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"oneOf": [{"type": "boolean"}]}, True),
        ({"allOf": [{"properties": {"a": {"type": "integer"}}}, {"properties": {"b": {}}}]}, None),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"const": "found"}}}, "found"),
        ({"$ref": "#/nowhere"}, "example"),
    ],
)
def test_examples_of_schemas(schema: dict[str, Any], value: object) -> None:
    if "allOf" in schema:
        value = {"a": 1, "b": "example"}
    assert example(schema) == value


def test_a_schema_that_contains_itself_comes_to_an_end() -> None:
    node = {
        "type": "object",
        "required": ["next"],
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    }
    value: Any = example({"$ref": "#/$defs/node", "$defs": {"node": node}})
    depth = 0
    while value is not None:
        assert list(value) == ["next"]
        value, depth = value["next"], depth + 1
    assert 1 < depth < 10


def test_a_tree_without_end_is_bounded() -> None:
    inner = {"$ref": "#"}
    tree = {
        "type": "object",
        "required": ["a", "b", "c"],
        "properties": {"a": inner, "b": inner, "c": {"type": "array", "items": inner}},
    }
    assert len(msgspec.json.encode(example(tree))) < 100_000
    knot: dict[str, Any] = {"allOf": [{"$ref": "#"}, {"$ref": "#"}, {"$ref": "#"}]}
    assert example(knot) == "example"


KEYWORDS = (
    *("type", "properties", "required", "items", "minItems", "maxItems", "enum", "const", "$ref"),
    *("anyOf", "oneOf", "allOf", "minimum", "maximum", "minLength", "maxLength", "format", "a"),
)
LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["string", "object", "#"])
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=4)
    ),
    max_leaves=30,
)


@settings(max_examples=300)
@given(st.dictionaries(st.sampled_from(["type", "properties", "allOf", "items", "$ref"]), JSON))
def test_any_schema_has_an_example_that_is_json(schema: dict[str, Any]) -> None:
    msgspec.json.encode(example(schema))

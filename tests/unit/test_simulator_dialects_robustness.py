"""No request, however odd, can make the simulated dialects fail instead of answer or refuse."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.simulator_dialects import (
    KEYS,
    PNG,
    Said,
    ask,
    assistant,
    call,
    content,
    function,
    generate,
    message,
    response,
    result,
    text,
    tool,
    use,
    user,
)

PATHS = {
    "anthropic": ["/v1/messages", "/v1/messages/count_tokens"],
    "gemini": [
        "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse",
        "/v1beta/models/m:generateContent",
        "/v1beta/models/m:batchEmbedContents",
    ],
    "bedrock": ["/model/anthropic.claude-haiku-4-5/converse", "/model/m/converse-stream"],
    "cohere": ["/v2/chat", "/v2/embed", "/v2/rerank"],
    "vertex": [
        "/v1/projects/p/locations/l/publishers/google/models/gemini-3-pro:generateContent",
        "/v1/projects/p/locations/l/publishers/google/models/m:predict",
    ],
}
BEDROCK_IMAGE = {"image": {"format": "png", "source": {"bytes": PNG}}}
BEDROCK_DOCUMENT = {"document": {"format": "txt", "name": "d", "source": {"text": "t"}}}
BEDROCK_USE = {"toolUse": {"toolUseId": "t", "name": "look", "input": {"a": 1}}}
BEDROCK_RESULT = {"toolResult": {"toolUseId": "t", "content": [{"json": {"a": 1}}]}}
BEDROCK_TOOL = {"toolSpec": {"name": "look", "inputSchema": {"json": {"type": "object"}}}}
COHERE_CALL = {
    "id": "c",
    "type": "function",
    "function": {"name": "look", "arguments": "{}"},
}
SOUND = {
    "anthropic": message(
        user("x"),
        assistant(text("y"), use(1)),
        user(result(1), text("z")),
        tools=[tool(properties={"a": {"type": "string"}})],
        tool_choice={"type": "any"},
        system=[text("s", cache_control={"type": "ephemeral"})],
        stream=True,
        stop_sequences=["q"],
        metadata={"user_id": "u"},
        output_config={"format": {"type": "json_schema", "schema": {"type": "string"}}},
    ),
    "gemini": generate(
        content("user", {"text": "x"}),
        content("model", call(), {"text": "y"}),
        content("user", response()),
        tools=[function(type="object", properties={"a": {"type": "string", "enum": ["b"]}})],
        toolConfig={"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["look"]}},
        generationConfig={"responseSchema": {"type": "string"}, "candidateCount": 2},
        systemInstruction={"parts": [{"text": "s"}]},
    ),
    "bedrock": {
        "messages": [
            {"role": "user", "content": [{"text": "x"}, BEDROCK_IMAGE, BEDROCK_DOCUMENT]},
            {"role": "assistant", "content": [{"text": "y"}, BEDROCK_USE]},
            {"role": "user", "content": [BEDROCK_RESULT, {"cachePoint": {"type": "default"}}]},
        ],
        "system": [{"text": "s"}],
        "toolConfig": {"tools": [BEDROCK_TOOL], "toolChoice": {"auto": {}}},
        "inferenceConfig": {"maxTokens": 2000, "temperature": 1, "stopSequences": ["q"]},
        "additionalModelRequestFields": {
            "thinking": {"type": "enabled", "budget_tokens": 1024},
        },
        "outputConfig": {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"schema": '{"type":"object"}'}},
            }
        },
    },
    "cohere": {
        "model": "command-a-plus",
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
            {"role": "assistant", "tool_plan": "p", "tool_calls": [COHERE_CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "found"},
        ],
        "tools": [
            {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
        ],
        "tool_choice": "REQUIRED",
        "thinking": {"type": "enabled", "token_budget": 5},
        "stream": True,
        "max_tokens": 9,
        "stop_sequences": ["q"],
    },
    "vertex": generate(content("user", {"text": "x"}), generationConfig={"candidateCount": 2}),
}
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=8)
odd = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5000) | st.floats(-1, 3) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a body."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """The body with something else in one place."""
    if not path:
        return other
    key, *rest = path
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[key] = changed(value[key], tuple(rest), other)
    return copy


def answered(dialect: str, path: str, body: Any) -> Said:
    said = ask(path, body, headers=KEYS[dialect])
    assert said.status in {200, 400, 422 if dialect == "cohere" else 400}
    if said.status != 200:
        told = said.json()
        message = told.get("error", told)["message"]
        assert message
        assert "Object missing required" not in message
    assert said.steps == sorted(said.steps)
    return said


@pytest.mark.parametrize("dialect", SOUND)
@given(data=st.data())
def test_anything_anywhere_in_a_body_is_answered(dialect: str, data: st.DataObject) -> None:
    body = SOUND[dialect]
    path = data.draw(st.sampled_from(PATHS[dialect]))
    place = data.draw(st.sampled_from(places(body)))
    answered(dialect, path, changed(body, place, data.draw(odd)))


@pytest.mark.parametrize("dialect", SOUND)
@given(body=st.binary(max_size=40))
def test_any_bytes_are_answered(dialect: str, body: bytes) -> None:
    for path in PATHS[dialect]:
        assert answered(dialect, path, body).status in {400, 422}


@pytest.mark.parametrize("depth", [50, 300, 950, 990, 5_000])
@pytest.mark.parametrize("dialect", ["anthropic", "bedrock", "cohere", "gemini"])
def test_any_depth_of_nesting_is_answered(dialect: str, depth: int) -> None:
    nest = b'{"properties":{"a":' * depth + b"{}" + b"}}" * depth
    if dialect == "anthropic":
        body = b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"x"}],"tools":['
        body += b'{"name":"a","input_schema":{"type":"object","properties":{"a":%b}}}]}' % nest
    elif dialect == "bedrock":
        body = b'{"messages":[{"role":"user","content":[{"text":"x"}]}],"toolConfig":{"tools":['
        body += (
            b'{"toolSpec":{"name":"a","inputSchema":{"json":{"type":"object","properties":{"a":%b}}}}}]}}'
            % nest
        )
    elif dialect == "cohere":
        body = (
            b'{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"function"'
        )
        body += (
            b',"function":{"name":"a","parameters":{"type":"object","properties":{"a":%b}}}}]}'
            % nest
        )
    else:
        body = b'{"contents":[{"role":"user","parts":[{"text":"x"}]}],"tools":[{"functionDeclarations":['
        body += b'{"name":"a","parametersJsonSchema":{"type":"object","items":%b}}]}]}' % nest
    answered(dialect, PATHS[dialect][0], body)

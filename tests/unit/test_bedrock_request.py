"""Requests for Converse: tools, settings, thinking, forms. Each is held against AWS's own service model."""

import json
from typing import Any

import msgspec
import pytest

from adapters.dialect import BadCall
from adapters.middle.conversation import (
    CacheMark,
    Conversation,
    OutputFormat,
    Reasoning,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)
from tests.unit.bedrock_wire import (
    CLAUDE,
    GPT_OSS,
    LLAMA,
    MISTRAL,
    NEWEST_CLAUDE,
    NOVA,
    NOVA_2,
    OLD_CLAUDE,
    PROFILE,
    TARGET,
    UPSTREAM,
    sent,
    target,
)
from tests.unit.gemini_wire import conversation, model, tool, user

OPUS_4_7 = "us.anthropic.claude-opus-4-7"
CALL = ToolCall(id="c1", name="add", arguments='{"a":1}')
WITH_CALL = (
    user("Add"),
    model(CALL),
    user(ToolResult(call_id="c1", name="add", parts=(Text(text="2"),))),
)
FORM = OutputFormat(
    kind="json_schema",
    schema=msgspec.Raw(b'{"type":"object","properties":{"a":{"type":"integer"}}}'),
)
ADD = {
    "name": "add",
    "inputSchema": {"json": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


@pytest.mark.parametrize(
    ("name", "stream", "path"),
    [
        (
            CLAUDE,
            False,
            b"/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse",
        ),
        (NEWEST_CLAUDE, True, b"/model/global.anthropic.claude-fable-5-5/converse-stream"),
        (
            PROFILE,
            True,
            (
                b"/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3A"
                b"application-inference-profile%2Fab12cd34ef56/converse-stream"
            ),
        ),
    ],
)
def test_model_and_method_stand_in_the_path(name: str, stream: bool, path: bytes) -> None:
    encoded = UPSTREAM.encode(conversation(), target(name), stream=stream)
    assert encoded.target == path
    assert encoded.headers == TARGET.headers
    assert b'"stream"' not in encoded.body


def test_a_plain_question_says_nothing_that_was_not_asked() -> None:
    assert sent(conversation(), LLAMA) == {
        "messages": [{"role": "user", "content": [{"text": "Hi"}]}]
    }


@pytest.mark.parametrize(
    ("name", "fields", "settings"),
    [
        (LLAMA, {"most_tokens": 9}, {"maxTokens": 9}),
        (LLAMA, {"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "topP": 0.9}),
        (LLAMA, {"temperature": 1.7}, {"temperature": 1.0}),
        (LLAMA, {"temperature": 0.0}, {"temperature": 0.0}),
        (LLAMA, {"stop": ("a", "b")}, {"stopSequences": ["a", "b"]}),
        (LLAMA, {"seed": 1, "frequency_penalty": 1.0, "user": "u", "top_k": 3}, None),
        (OLD_CLAUDE, {}, {"maxTokens": 4096}),
        (OLD_CLAUDE, {"most_tokens": 5, "top_p": 0.5}, {"maxTokens": 5, "topP": 0.5}),
        (CLAUDE, {"temperature": 0.5, "top_p": 0.9}, {"maxTokens": 32_000, "temperature": 0.5}),
        (OPUS_4_7, {"temperature": 0.5, "top_p": 0.9, "most_tokens": 8}, {"maxTokens": 8}),
    ],
)
def test_settings_are_said_as_the_model_takes_them(
    name: str, fields: dict[str, Any], settings: Any
) -> None:
    assert sent(conversation(**fields), name).get("inferenceConfig") == settings


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"choices": 2}, "n"), ({"logprobs": 0}, "logprobs"), ({"stop": ("a", " \n")}, "stop")],
)
def test_what_cannot_be_said_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadCall) as caught:
        sent(conversation(**fields))
    assert caught.value.param == param


def test_system_texts_stay_apart_and_blank_ones_are_left_out() -> None:
    system = (Text(text="Be kind."), Text(text=" \n"), Text(text="Be brief.", cache=CacheMark()))
    said = sent(conversation(system=system))["system"]
    point = {"cachePoint": {"type": "default"}}
    assert said == [{"text": "Be kind."}, {"text": "Be brief."}, point]


def test_a_stop_text_that_ended_a_claude_is_asked_for() -> None:
    assert sent(conversation(stop=("x",)))["additionalModelResponseFieldPaths"] == [
        "/stop_sequence"
    ]
    assert "additionalModelResponseFieldPaths" not in sent(conversation(stop=("x",)), NOVA)


def test_tools_are_declared_with_their_schemas() -> None:
    asked = conversation(tools=(tool(description="Adds."), tool("bare", {"type": "object"})))
    assert sent(asked, NOVA)["toolConfig"] == {
        "tools": [
            {"toolSpec": {**ADD, "description": "Adds."}},
            {"toolSpec": {"name": "bare", "inputSchema": {"json": {"type": "object"}}}},
        ]
    }


SOME_CALL = "Answer by calling one of the tools."
ADD_CALL = "Answer by calling the tool 'add'."


@pytest.mark.parametrize(
    ("name", "choice", "config", "words"),
    [
        (CLAUDE, ToolChoice("auto"), None, None),
        (CLAUDE, ToolChoice("required"), {"any": {}}, None),
        (CLAUDE, ToolChoice("named", "add"), {"tool": {"name": "add"}}, None),
        (NOVA, ToolChoice("required"), {"any": {}}, None),
        (NOVA, ToolChoice("named", "add"), {"tool": {"name": "add"}}, None),
        (MISTRAL, ToolChoice("required"), {"any": {}}, None),
        (LLAMA, ToolChoice("auto"), None, None),
        (LLAMA, ToolChoice("required"), None, SOME_CALL),
        (LLAMA, ToolChoice("named", "add"), None, ADD_CALL),
        (NEWEST_CLAUDE, ToolChoice("required"), None, SOME_CALL),
        (NEWEST_CLAUDE, ToolChoice("named", "add"), None, ADD_CALL),
    ],
)
def test_a_call_is_demanded_as_the_model_lets_it(
    name: str, choice: ToolChoice, config: Any, words: str | None
) -> None:
    said = sent(conversation(tools=(tool(), tool("other")), tool_choice=choice), name)
    assert said["toolConfig"].get("toolChoice") == config
    assert [spec["toolSpec"]["name"] for spec in said["toolConfig"]["tools"]] == ["add", "other"]
    assert said.get("system") == (None if words is None else [{"text": words}])


def test_a_model_that_must_call_any_function_is_shown_the_named_one_only() -> None:
    asked = conversation(tools=(tool(), tool("other")), tool_choice=ToolChoice("named", "other"))
    config = sent(asked, MISTRAL)["toolConfig"]
    assert [spec["toolSpec"]["name"] for spec in config["tools"]] == ["other"]
    assert config["toolChoice"] == {"any": {}}


def test_a_demanded_function_must_be_there() -> None:
    with pytest.raises(BadCall) as caught:
        sent(conversation(tools=(tool(),), tool_choice=ToolChoice("named", "gone")))
    assert caught.value.param == "tool_choice"


def test_no_function_is_shown_where_none_may_be_called() -> None:
    said = sent(conversation(tools=(tool(),), tool_choice=ToolChoice("none")))
    assert "toolConfig" not in said
    assert "system" not in said


@pytest.mark.parametrize(
    ("tools", "choice", "names"),
    [
        ((tool(), tool("other")), ToolChoice("none"), ["add", "other"]),
        ((), None, ["add"]),
        ((), ToolChoice("none"), ["add"]),
    ],
)
def test_a_conversation_with_calls_always_shows_functions(
    tools: Any, choice: ToolChoice | None, names: list[str]
) -> None:
    said = sent(Conversation(turns=WITH_CALL, tools=tools, tool_choice=choice))
    assert [spec["toolSpec"]["name"] for spec in said["toolConfig"]["tools"]] == names
    assert "toolChoice" not in said["toolConfig"]
    assert said["system"] == [{"text": "Answer in words. Call no tool."}]


@pytest.mark.parametrize(
    ("name", "choice", "told"),
    [
        (CLAUDE, None, {"type": "auto", "disable_parallel_tool_use": True}),
        (CLAUDE, ToolChoice("required"), {"disable_parallel_tool_use": True}),
        (OLD_CLAUDE, None, None),
        (NOVA, None, None),
    ],
)
def test_one_call_at_a_time_is_asked_of_those_claudes_that_know_it(
    name: str, choice: ToolChoice | None, told: Any
) -> None:
    asked = conversation(tools=(tool(),), parallel_calls=False, tool_choice=choice)
    assert sent(asked, name).get("additionalModelRequestFields", {}).get("tool_choice") == told
    plain = sent(conversation(parallel_calls=False), name)
    assert "additionalModelRequestFields" not in plain


ADAPTIVE = {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}


def budget(tokens: int) -> dict[str, Any]:
    return {"thinking": {"type": "enabled", "budget_tokens": tokens}}


def nova_effort(effort: str) -> dict[str, Any]:
    return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}


@pytest.mark.parametrize(
    ("name", "thinking", "cap", "told"),
    [
        (CLAUDE, Thinking(budget_tokens=2000), 4000, budget(2000)),
        (CLAUDE, Thinking(effort="low"), None, budget(2048)),
        (OLD_CLAUDE, Thinking(effort="high"), None, None),
        (OPUS_4_7, Thinking(effort="high"), None, ADAPTIVE),
        (NOVA, Thinking(effort="high"), None, None),
        (NOVA_2, Thinking(effort="minimal"), None, nova_effort("low")),
        (NOVA_2, Thinking(effort="none"), None, {"reasoningConfig": {"type": "disabled"}}),
        (NOVA_2, Thinking(effort="xhigh"), None, nova_effort("high")),
        (NOVA_2, Thinking(effort="high"), 500, nova_effort("medium")),
        (NOVA_2, Thinking(budget_tokens=9000), None, nova_effort("medium")),
        (NOVA_2, Thinking(budget_tokens=0), None, {"reasoningConfig": {"type": "disabled"}}),
        (GPT_OSS, Thinking(effort="max"), 10, {"reasoning_effort": "high"}),
        (GPT_OSS, Thinking(effort="none"), None, {"reasoning_effort": "low"}),
        (LLAMA, Thinking(effort="high"), None, None),
    ],
)
def test_thinking_is_asked_for_in_the_models_own_words(
    name: str, thinking: Thinking, cap: int | None, told: Any
) -> None:
    said = sent(conversation(thinking=thinking, most_tokens=cap, temperature=0.3), name)
    assert said.get("additionalModelRequestFields") == told
    assert said.get("inferenceConfig", {}).get("maxTokens") == (
        cap if cap is not None or "claude" not in name else said["inferenceConfig"]["maxTokens"]
    )


def test_a_nova_that_thinks_hardest_is_told_nothing_else() -> None:
    asked = conversation(thinking=Thinking(effort="high"), temperature=0.3, top_p=0.9)
    assert "inferenceConfig" not in sent(asked, NOVA_2)


def test_a_thinking_claude_is_not_told_how_to_sample() -> None:
    asked = conversation(
        thinking=Thinking(effort="low"), temperature=0.3, top_k=5, most_tokens=9000
    )
    said = sent(asked)
    assert said["inferenceConfig"] == {"maxTokens": 9000}
    assert set(said["additionalModelRequestFields"]) == {"thinking"}


def test_a_thoughts_owner_decides_whether_a_claude_may_go_on_thinking() -> None:
    def asked(signature: str) -> Conversation:
        thought = Reasoning(text="Hm", signature=signature)
        turns = (user("Add"), model(thought, CALL), WITH_CALL[2])
        return Conversation(turns=turns, tools=(tool(),), thinking=Thinking(effort="low"))

    for signature in ("bedrock:sig", "sig"):
        said = sent(asked(signature))
        assert "thinking" in said["additionalModelRequestFields"]
        text = {"text": "Hm", "signature": "sig"}
        assert said["messages"][1]["content"][0] == {"reasoningContent": {"reasoningText": text}}
    lost = sent(asked("gemini:sig"))
    assert "additionalModelRequestFields" not in lost
    assert set(lost["messages"][1]["content"][0]) == {"toolUse"}


def test_top_k_goes_to_a_claude() -> None:
    assert sent(conversation(top_k=5))["additionalModelRequestFields"] == {"top_k": 5}


@pytest.mark.parametrize("name", [CLAUDE, NOVA, MISTRAL])
def test_a_form_is_a_function_that_must_be_called(name: str) -> None:
    config = sent(conversation(format=FORM), name)["toolConfig"]
    (declared,) = config["tools"]
    assert declared["toolSpec"]["name"] == "give_answer"
    assert declared["toolSpec"]["inputSchema"]["json"] == ADD["inputSchema"]["json"]  # type: ignore[index]
    demanded = {"any": {}} if name == MISTRAL else {"tool": {"name": "give_answer"}}
    assert config["toolChoice"] == demanded


def test_a_form_beside_functions_leaves_the_choice_among_all() -> None:
    config = sent(conversation(format=FORM, tools=(tool(),)))["toolConfig"]
    assert [spec["toolSpec"]["name"] for spec in config["tools"]] == ["add", "give_answer"]
    assert config["toolChoice"] == {"any": {}}


@pytest.mark.parametrize("name", [LLAMA, GPT_OSS, NEWEST_CLAUDE])
def test_a_form_is_put_in_words_where_no_call_can_be_demanded(name: str) -> None:
    said = sent(conversation(format=FORM), name)
    assert "toolConfig" not in said
    (words,) = said["system"]
    assert '"properties":{"a"' in words["text"]


def test_any_object_is_asked_for_in_words() -> None:
    said = sent(conversation(format=OutputFormat(kind="json_object")))
    assert "toolConfig" not in said
    assert "JSON object" in said["system"][0]["text"]


def test_marks_for_the_cache_stand_where_the_model_takes_them() -> None:
    asked = Conversation(
        system=(Text(text="S", cache=CacheMark("1h")),),
        turns=(user(Text(text="U", cache=CacheMark("5m")), "V"),),
        tools=(tool(cache=CacheMark("1h")), tool("other")),
    )
    short, long = ({"cachePoint": {"type": "default", **ttl}} for ttl in ({}, {"ttl": "1h"}))
    claude, nova, llama = sent(asked), sent(asked, NOVA), sent(asked, LLAMA)
    assert claude["system"] == [{"text": "S"}, long]
    assert claude["messages"][0]["content"] == [{"text": "U"}, short, {"text": "V"}]
    assert claude["toolConfig"]["tools"][1] == long
    assert nova["system"] == [{"text": "S"}, short]
    assert nova["messages"] == claude["messages"]
    assert "cachePoint" not in json.dumps(nova["toolConfig"])
    assert "cachePoint" not in json.dumps(llama)


@pytest.mark.parametrize(
    ("tier", "told"),
    [
        ("priority", {"type": "priority"}),
        ("flex", {"type": "flex"}),
        ("auto", None),
        ("default", None),
    ],
)
def test_a_tier_of_service_is_named_where_bedrock_has_it(tier: str, told: Any) -> None:
    assert sent(conversation(service_tier=tier)).get("serviceTier") == told


def test_bedrocks_own_fields_are_taken_over_from_the_client() -> None:
    extra = {
        "guardrailConfig": {"guardrailIdentifier": "abc", "guardrailVersion": "1"},
        "performanceConfig": {"latency": "optimized"},
        "requestMetadata": {"team": "blue"},
        "additionalModelRequestFields": {"top_k": 9, "anthropic_beta": ["x"]},
        "promptVariables": {"a": {"text": "b"}},
        "messages": [],
    }
    raw = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in extra.items()}
    said = sent(conversation(top_k=5, extra=raw))
    for name in ("guardrailConfig", "performanceConfig", "requestMetadata"):
        assert said[name] == extra[name]
    assert said["additionalModelRequestFields"] == extra["additionalModelRequestFields"]
    assert "promptVariables" not in said
    assert len(said["messages"]) == 1


@pytest.mark.parametrize("wrong", [b"[]", b'"x"', b"1"])
def test_a_clients_fields_for_the_model_must_be_an_object(wrong: bytes) -> None:
    with pytest.raises(BadCall) as caught:
        sent(conversation(extra={"additionalModelRequestFields": msgspec.Raw(wrong)}))
    assert caught.value.param == "additionalModelRequestFields"


def test_a_profile_without_a_name_is_known_by_the_gateways_name() -> None:
    asked = conversation(format=FORM, thinking=Thinking(effort="low"))
    assert "toolConfig" not in sent(asked, PROFILE, served_model="mine/unknown")
    config = sent(asked, PROFILE, served_model="anthropic/claude-sonnet-4.5")["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": "give_answer"}}

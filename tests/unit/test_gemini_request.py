"""Requests to Gemini: path, settings, functions, thinking, the answer's form."""

import json
from typing import Any

import msgspec
import pytest

from adapters.dialect import BadCall
from adapters.middle.conversation import (
    CacheMark,
    Conversation,
    OutputFormat,
    Text,
    Thinking,
    ToolChoice,
)
from tests.unit.gemini_wire import (
    NEWEST,
    OLDEST,
    SECOND,
    TARGET,
    UPSTREAM,
    conversation,
    model,
    sent,
    target,
    tool,
    user,
)

VERTEX = b"/publishers/google/models/{model}:{method}"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def answer_format(**fields: Any) -> OutputFormat:
    return OutputFormat(
        kind="json_schema", schema=msgspec.Raw(json.dumps(SCHEMA).encode()), **fields
    )


@pytest.mark.parametrize(
    ("path", "name", "stream", "expected"),
    [
        (TARGET.paths["chat"], NEWEST, False, b"/v1beta/models/gemini-3.5-flash:generateContent"),
        (
            TARGET.paths["chat"],
            NEWEST,
            True,
            b"/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse",
        ),
        (
            VERTEX,
            "models/gemini-2.5-pro@001",
            True,
            b"/publishers/google/models/gemini-2.5-pro@001:streamGenerateContent?alt=sse",
        ),
        (b"/{model}:{method}?x=1", "m", True, b"/m:streamGenerateContent?x=1&alt=sse"),
        (b"/{model}:{method}", "a/../b?c", False, b"/a%2F..%2Fb%3Fc:generateContent"),
    ],
)
def test_the_path_names_model_and_method(
    path: bytes, name: str, stream: bool, expected: bytes
) -> None:
    request = UPSTREAM.encode(conversation(), target(name, paths={"chat": path}), stream=stream)
    assert request.target == expected


def test_the_key_goes_in_a_header_and_nowhere_else() -> None:
    request = UPSTREAM.encode(conversation(), TARGET, stream=True)
    assert request.headers == TARGET.headers
    assert b"key" not in request.target + request.body


def test_a_plain_request_says_nothing_that_was_not_asked() -> None:
    assert sent(conversation()) == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_system_text_is_the_system_instruction_in_order_without_empty_parts() -> None:
    marked = Text(text="Be kind.", cache=CacheMark("1h"))
    body = sent(conversation(system=(Text(text="Be brief."), Text(text=""), marked)))
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}


def test_system_text_alone_is_said_by_the_user_as_somebody_must_speak() -> None:
    body = sent(Conversation(turns=(), system=(Text(text="Greet me."),)))
    assert body == {"contents": [{"role": "user", "parts": [{"text": "Greet me."}]}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"most_tokens": 7}, {"maxOutputTokens": 7}),
        ({"temperature": 0.0}, {"temperature": 0.0}),
        ({"top_p": 0.5, "top_k": 3}, {"topP": 0.5, "topK": 3}),
        ({"stop": ("a", "b")}, {"stopSequences": ["a", "b"]}),
        ({"seed": 5}, {"seed": 5}),
        ({"seed": 2**40 + 5}, {"seed": 5}),
        (
            {"frequency_penalty": 0.1, "presence_penalty": -0.2},
            {"frequencyPenalty": 0.1, "presencePenalty": -0.2},
        ),
        ({"choices": 3}, {"candidateCount": 3}),
        ({"format": OutputFormat(kind="json_object")}, {"responseMimeType": "application/json"}),
    ],
)
def test_settings_have_geminis_names(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert sent(conversation(**fields))["generationConfig"] == expected


@pytest.mark.parametrize(
    ("tier", "expected"), [("flex", "flex"), ("default", "standard"), ("auto", None), (None, None)]
)
def test_the_service_tier_has_googles_words(tier: str | None, expected: str | None) -> None:
    assert sent(conversation(service_tier=tier)).get("serviceTier") == expected


def test_geminis_own_fields_pass_and_unknown_ones_do_not() -> None:
    extra = {
        "safety_settings": msgspec.Raw(b'[{"category":"X","threshold":"OFF"}]'),
        "cached_content": msgspec.Raw(b'"cachedContents/1"'),
        "unknown": msgspec.Raw(b"1"),
    }
    body = sent(conversation(extra=extra))
    assert body["safetySettings"] == [{"category": "X", "threshold": "OFF"}]
    assert body["cachedContent"] == "cachedContents/1"
    assert "unknown" not in body


def test_log_probabilities_are_refused_as_they_cannot_be_given() -> None:
    with pytest.raises(BadCall) as refused:
        sent(conversation(logprobs=2))
    assert refused.value.param == "logprobs"


@pytest.mark.parametrize(
    ("name", "thinking", "expected"),
    [
        ("gemini-2.5-flash", Thinking(effort="none"), {"thinkingBudget": 0}),
        ("gemini-2.5-pro", Thinking(effort="none"), {"thinkingBudget": 128}),
        ("gemini-2.5-flash-lite", Thinking(effort="none"), {"thinkingBudget": 0}),
        ("gemini-2.5-flash", Thinking(effort="minimal"), {"thinkingBudget": 1024}),
        ("gemini-2.5-flash", Thinking(effort="low"), {"thinkingBudget": 1024}),
        ("gemini-2.5-pro", Thinking(effort="medium"), {"thinkingBudget": 8192}),
        ("gemini-2.5-flash", Thinking(effort="high"), {"thinkingBudget": 24576}),
        ("gemini-2.5-flash", Thinking(effort="max"), {"thinkingBudget": 24576}),
        ("gemini-2.5-pro", Thinking(effort="max"), {"thinkingBudget": 32768}),
        ("gemini-2.5-flash-lite", Thinking(budget_tokens=10), {"thinkingBudget": 512}),
        ("gemini-2.5-pro", Thinking(budget_tokens=99999), {"thinkingBudget": 32768}),
        ("gemini-2.5-pro", Thinking(budget_tokens=2000), {"thinkingBudget": 2000}),
        ("gemini-3-flash-preview", Thinking(effort="none"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash-preview", Thinking(effort="minimal"), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3-flash-preview", Thinking(effort="medium"), {"thinkingLevel": "MEDIUM"}),
        ("gemini-3-pro-preview", Thinking(effort="minimal"), {"thinkingLevel": "LOW"}),
        ("gemini-3-pro-preview", Thinking(effort="medium"), {"thinkingLevel": "HIGH"}),
        ("gemini-3.1-pro-preview", Thinking(effort="medium"), {"thinkingLevel": "MEDIUM"}),
        ("gemini-3.1-pro-preview", Thinking(effort="xhigh"), {"thinkingLevel": "HIGH"}),
        ("gemini-3.5-flash", Thinking(budget_tokens=0), {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.5-flash", Thinking(budget_tokens=1024), {"thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", Thinking(budget_tokens=8000), {"thinkingLevel": "MEDIUM"}),
        ("gemini-3.5-flash", Thinking(budget_tokens=9000), {"thinkingLevel": "HIGH"}),
        ("gemini-flash-latest", Thinking(effort="low"), {"thinkingLevel": "LOW"}),
        ("gemini-flash-lite-latest", Thinking(effort="low"), {"thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", Thinking(summary="auto"), {"includeThoughts": True}),
        (
            "gemini-2.5-pro",
            Thinking(effort="low", summary="detailed"),
            {"includeThoughts": True, "thinkingBudget": 1024},
        ),
        ("gemini-3.5-flash", Thinking(), None),
        ("gemini-2.0-flash", Thinking(effort="high"), None),
        ("gemini-1.5-pro-002", Thinking(effort="high"), None),
        ("gemma-3-27b-it", Thinking(effort="high"), None),
    ],
)
def test_thinking_is_said_as_the_generation_takes_it(
    name: str, thinking: Thinking, expected: dict[str, Any] | None
) -> None:
    config = sent(conversation(thinking=thinking), name).get("generationConfig", {})
    assert config.get("thinkingConfig") == expected


@pytest.mark.parametrize(
    ("name", "field"), [(SECOND, "parametersJsonSchema"), (OLDEST, "parameters")]
)
def test_all_functions_are_declared_in_one_tool(name: str, field: str) -> None:
    body = sent(conversation(tools=(tool("add", description="Adds."), tool("now", {}))), name)
    parameters = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "add", "description": "Adds.", field: parameters},
                {"name": "now"},
            ]
        }
    ]
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), {"mode": "AUTO"}),
        (ToolChoice("none"), {"mode": "NONE"}),
        (ToolChoice("required"), {"mode": "ANY"}),
        (ToolChoice("named", "add"), {"mode": "ANY", "allowedFunctionNames": ["add"]}),
    ],
)
def test_the_choice_of_functions_is_a_mode(choice: ToolChoice, expected: dict[str, Any]) -> None:
    body = sent(conversation(tools=(tool("add"),), tool_choice=choice))
    assert body["toolConfig"]["functionCallingConfig"] == expected


def test_a_choice_without_functions_is_not_sent() -> None:
    assert sent(conversation(tool_choice=ToolChoice("auto"))).keys() == {"contents"}


@pytest.mark.parametrize(
    ("name", "field"),
    [
        (NEWEST, "responseJsonSchema"),
        (SECOND, "responseJsonSchema"),
        (OLDEST, "responseSchema"),
    ],
)
def test_a_form_of_the_answer_is_said_natively(name: str, field: str) -> None:
    config = sent(conversation(format=answer_format(strict=True)), name)["generationConfig"]
    assert config == {"responseMimeType": "application/json", field: SCHEMA}


def test_the_newest_models_take_functions_and_a_form_at_once() -> None:
    body = sent(conversation(tools=(tool(),), format=answer_format()), NEWEST)
    assert body["generationConfig"]["responseJsonSchema"] == SCHEMA
    assert len(body["tools"][0]["functionDeclarations"]) == 1


@pytest.mark.parametrize("name", [SECOND, OLDEST])
def test_older_models_get_the_form_as_a_function_that_ends_the_answer(name: str) -> None:
    asked = conversation(tools=(tool(), tool("give_answer")), format=answer_format())
    body = sent(asked, name)
    declared = body["tools"][0]["functionDeclarations"]
    assert [function["name"] for function in declared] == ["add", "give_answer", "give_answer_"]
    assert body["toolConfig"]["functionCallingConfig"] == {"mode": "ANY"}
    assert "generationConfig" not in body


def test_a_named_function_is_called_before_the_form_matters() -> None:
    asked = conversation(
        tools=(tool(),), format=answer_format(), tool_choice=ToolChoice("named", "add")
    )
    config = sent(asked, SECOND)["toolConfig"]["functionCallingConfig"]
    assert config == {"mode": "ANY", "allowedFunctionNames": ["add"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"format": OutputFormat(kind="json_object")},
        {"format": answer_format(), "tool_choice": ToolChoice("none")},
    ],
)
def test_what_an_older_model_cannot_combine_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadCall) as refused:
        sent(conversation(tools=(tool(),), **fields), SECOND)
    assert refused.value.param == "response_format"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": (tool("add", {"$ref": "#/$defs/no"}),)}, "tools"),
        (
            {
                "format": OutputFormat(
                    kind="json_schema", schema=msgspec.Raw(b'{"$ref":"http://a/b"}')
                )
            },
            "response_format",
        ),
    ],
)
def test_a_bad_schema_is_blamed_on_its_field(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadCall) as refused:
        sent(conversation(**fields))
    assert refused.value.param == param


def test_a_conversation_may_end_with_the_models_words() -> None:
    body = sent(conversation(user("Say it."), model("It ")))
    assert body["contents"][-1] == {"role": "model", "parts": [{"text": "It "}]}

"""What chat clients send by habit, in every form in which it occurs: each provider is asked the same.

The habits are those of the SDKs and agents that were read for it: null for fields that nobody set, content as
a text or as parts in every role, `developer`, both names of the limit, empty content beside calls.
"""

import json
from typing import Any

import pytest

from adapters.dialect import BadCall
from adapters.registry import dialect_for
from tests.dialect_wire import assistant, chat, function, function_call, target, user

MODELS = {
    "anthropic": "claude-haiku-4-5",
    "bedrock": "us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "cohere": "command-a-03-2025",
    "deepseek": "deepseek-v4-flash",
    "gemini": "gemini-2.5-flash",
    "mistral": "mistral-large-latest",
    "openai": "gpt-5",
    "vertex": "gemini-2.5-flash",
}
TRANSLATED = sorted(MODELS.keys() - {"deepseek", "mistral", "openai"})
EVERY = pytest.mark.parametrize("dialect", sorted(MODELS))
EACH_TRANSLATED = pytest.mark.parametrize("dialect", TRANSLATED)
HI = user("Hi")
OPTIONAL = (
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "metadata", "modalities", "n", "parallel_tool_calls",
    "prediction", "presence_penalty", "reasoning", "reasoning_effort", "response_format", "seed",
    "service_tier", "stop", "store", "stream", "stream_options", "temperature", "thinking",
    "tool_choice", "tools", "top_k", "top_logprobs", "top_p", "user", "web_search_options",
)  # fmt: skip


def sent(dialect: str, *said: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The body that a provider gets."""
    told = target(MODELS[dialect], paths={"chat": b"/models/{model}:{method}"})
    encoded = dialect_for("chat", dialect).encode_request(chat(*said, **fields), told)
    found: dict[str, Any] = json.loads(encoded.body)
    return found


def parts(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]


@EACH_TRANSLATED
def test_null_is_as_good_as_absent(dialect: str) -> None:
    assert sent(dialect, HI, **dict.fromkeys(OPTIONAL)) == sent(dialect, HI)


@EACH_TRANSLATED
def test_what_no_struct_names_goes_no_further(dialect: str) -> None:
    assert sent(dialect, HI, x_unheard_of={"a": 1}, store=True) == sent(dialect, HI)


@EACH_TRANSLATED
def test_content_is_a_text_or_parts_in_every_role(dialect: str) -> None:
    def conversation(form: Any) -> list[dict[str, Any]]:
        return [
            {"role": "system", "content": form("Be brief.")},
            user(form("Look.")),
            assistant(form("I look."), tool_calls=[function_call("c1", "look")]),
            {"role": "tool", "tool_call_id": "c1", "content": form("seen")},
            user(form("And?")),
        ]

    tools = [function("look")]
    as_texts = sent(dialect, *conversation(str), tools=tools)
    assert sent(dialect, *conversation(parts), tools=tools) == as_texts


@EACH_TRANSLATED
def test_nothing_beside_calls_is_said_in_four_ways(dialect: str) -> None:
    calls = [function_call("c1", "look", "")]
    result = {"role": "tool", "tool_call_id": "c1", "content": "seen"}
    forms: list[dict[str, Any]] = [{"content": None}, {"content": ""}, {"content": []}, {}]
    bodies = [
        sent(dialect, HI, {"role": "assistant", "tool_calls": calls, **form}, result)
        for form in forms
    ]
    assert all(body == bodies[0] for body in bodies)
    assert '"text": ""' not in json.dumps(bodies[0])


@EVERY
def test_late_instructions_of_the_system_do_not_vanish(dialect: str) -> None:
    said = [
        {"role": "system", "content": "First rule."},
        HI,
        {"role": "developer", "content": "Second rule."},
        user("Go."),
    ]
    body = json.dumps(sent(dialect, *said))
    assert 0 < body.index("First rule.") < body.index("Second rule.")
    if dialect != "openai":
        assert '"developer"' not in body


@EACH_TRANSLATED
def test_the_limit_holds_under_either_name(dialect: str) -> None:
    one = sent(dialect, HI, max_tokens=77)
    assert sent(dialect, HI, max_completion_tokens=77) == one
    assert sent(dialect, HI, max_completion_tokens=77, max_tokens=99) == one
    assert 77 in _numbers(one)


def _numbers(value: Any) -> Any:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _numbers(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner)
    elif isinstance(value, int):
        yield value


@EACH_TRANSLATED
def test_a_function_without_parameters_is_one(dialect: str) -> None:
    forms: list[dict[str, Any]] = [
        {},
        {"parameters": None},
        {"parameters": {}},
        {"parameters": {"type": "object", "properties": {}}},
    ]
    bodies = [sent(dialect, HI, tools=[function("look", **form)]) for form in forms]
    assert all(body == bodies[0] for body in bodies)
    assert "look" in json.dumps(bodies[0])


@EACH_TRANSLATED
def test_results_in_any_order_stand_behind_the_calls_they_answer(dialect: str) -> None:
    calls = [function_call(f"c{n}", "look", f'{{"n":{n}}}') for n in (1, 2, 3)]
    results = [{"role": "tool", "tool_call_id": f"c{n}", "content": f"seen {n}"} for n in (1, 2, 3)]
    tools = [function("look")]
    for order in (results, results[::-1]):
        said = json.dumps(sent(dialect, HI, assistant(None, tool_calls=calls), *order, tools=tools))
        for n in (1, 2, 3):
            assert f"seen {n}" in said


@EACH_TRANSLATED
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"temperature": 2.5}, "temperature"),
        ({"modalities": ["audio"], "audio": {"voice": "x"}}, "audio"),
    ],
)
def test_what_would_be_another_answer_is_a_clear_refusal(
    dialect: str, fields: dict[str, Any], param: str
) -> None:
    if param == "n" and dialect in {"gemini", "vertex"}:
        assert sent(dialect, HI, **fields)["generationConfig"]["candidateCount"] == 2
        return
    with pytest.raises(BadCall) as caught:
        sent(dialect, HI, **fields)
    assert caught.value.param == param


@EACH_TRANSLATED
def test_ids_that_hide_a_signature_come_apart_again(dialect: str) -> None:
    """A client keeps the id of a call and nothing else; every provider gets one id in both places."""
    call_id = "call_1__thought__Z2VtaW5pOmMybG4"
    said = [
        HI,
        assistant(None, tool_calls=[function_call(call_id, "look")]),
        {"role": "tool", "tool_call_id": call_id, "content": "seen"},
    ]
    body = json.dumps(sent(dialect, *said, tools=[function("look")]))
    assert "__thought__" not in body
    assert body.count('"call_1"') == (0 if dialect in {"gemini", "vertex"} else 2)

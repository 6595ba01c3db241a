"""Mistral and DeepSeek: what their chats take, from clients of every face."""

import json
import re
from typing import Any

import pytest

from adapters.dialect import BadCall
from adapters.openai.request import decode_call
from adapters.openai.variants import MISTRAL
from adapters.registry import dialect_for, dialect_of_call
from tests.dialect_wire import (
    assistant,
    body_of,
    chat,
    chat_message,
    frames,
    function,
    function_call,
    message,
    messages,
    stream,
    target,
    user,
)

HI = user("Hi")
IMAGE = {"type": "image_url", "image_url": {"url": "https://host.example/cat.png"}}
LOOP: list[dict[str, Any]] = [
    HI,
    assistant(
        None, tool_calls=[function_call("call_abc-1", "look"), function_call("A1b2C3d4E", "x")]
    ),
    {"role": "tool", "tool_call_id": "call_abc-1", "content": "seen"},
    {"role": "tool", "tool_call_id": "A1b2C3d4E", "content": "x"},
]
# What SDKs echo of an answer, besides what the API asks for.
ECHO: dict[str, Any] = {"refusal": None, "annotations": [], "audio": None, "function_call": None}


def sent(dialect: str, *said: dict[str, Any], **fields: Any) -> dict[str, Any]:
    call = chat(*said, **fields)
    return body_of(dialect_for("chat", dialect).encode_request(call, target("m")))


@pytest.mark.parametrize("dialect", ["mistral", "deepseek"])
@pytest.mark.parametrize(
    "fields",
    [
        {"max_completion_tokens": 7},
        {"max_tokens": 7},
        {"max_completion_tokens": 7, "max_tokens": 9},
        {"max_completion_tokens": None, "max_tokens": 7},
    ],
)
def test_a_limit_holds_under_either_name(dialect: str, fields: dict[str, Any]) -> None:
    body = sent(dialect, **fields)
    assert body["max_tokens"] == 7
    assert "max_completion_tokens" not in body


@pytest.mark.parametrize("dialect", ["mistral", "deepseek"])
def test_the_developer_is_the_system(dialect: str) -> None:
    body = sent(dialect, {"role": "developer", "content": "Be brief."}, HI)
    assert [one["role"] for one in body["messages"]] == ["system", "user"]


@pytest.mark.parametrize("dialect", ["mistral", "deepseek"])
def test_what_nobody_here_knows_passes_in_its_own_bytes(dialect: str) -> None:
    call = chat(HI, safe_prompt=True, thinking={"type": "disabled"})
    body = dialect_for("chat", dialect).encode_request(call, target("m")).body
    assert b'"thinking":{"type": "disabled"}' in body
    assert b'"safe_prompt":true' in body


def test_mistral_gets_its_own_names_and_nothing_that_it_refuses() -> None:
    habits = {
        "store": False,
        "user": "u",
        "service_tier": "auto",
        "logit_bias": {},
        "verbosity": "low",
        "safety_identifier": "s",
        "logprobs": False,
        "top_logprobs": None,
        "tools": [],
        "seed": 3,
    }
    body = sent("mistral", HI, **habits)
    assert body == {"model": "m", "messages": [HI], "random_seed": 3}


def test_mistral_is_not_asked_for_log_probabilities() -> None:
    with pytest.raises(BadCall) as caught:
        sent("mistral", HI, logprobs=True)
    assert caught.value.param == "logprobs"


def test_mistrals_messages_hold_what_it_takes_and_no_more() -> None:
    said = [{**HI, "name": "me"}, assistant("Hello", **ECHO, tool_calls=[]), HI]
    assert sent("mistral", *said)["messages"] == [HI, {"role": "assistant", "content": "Hello"}, HI]


def test_mistrals_calls_have_ids_of_nine_letters_and_digits_that_still_match() -> None:
    found = sent("mistral", *LOOP, tools=[function("look"), function("x")])["messages"]
    ids = [call["id"] for call in found[1]["tool_calls"]]
    assert all(re.fullmatch("[A-Za-z0-9]{9}", call_id) for call_id in ids)
    assert [one["tool_call_id"] for one in found[2:]] == ids
    assert ids[1] == "A1b2C3d4E"  # one that fits stays
    assert len(set(ids)) == 2
    again = sent("mistral", *LOOP, tools=[function("look"), function("x")])["messages"]
    assert [call["id"] for call in again[1]["tool_calls"]] == ids


def test_claudes_clients_reach_mistral_under_the_same_rules() -> None:
    asked = messages(
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_01", "name": "look", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_01", "content": "seen"}],
        },
        tools=[{"name": "look", "input_schema": {"type": "object"}}],
        metadata={"user_id": "u"},
    )
    body = body_of(dialect_for("messages", "mistral").encode_request(asked, target("m")))
    assert "user" not in body
    [call] = body["messages"][1]["tool_calls"]
    assert re.fullmatch("[A-Za-z0-9]{9}", call["id"])
    assert body["messages"][2]["tool_call_id"] == call["id"]


def test_mistrals_embeddings_have_its_name_of_the_dimensions() -> None:
    body = {"model": "m", "input": "a", "dimensions": 64, "user": "u", "encoding_format": "base64"}
    call = decode_call("embeddings", json.dumps(body).encode())
    told = target("e", paths={"embeddings": b"/v1/embeddings"})
    found = body_of(dialect_of_call(call, "mistral").encode_request(call, told))
    assert found == {
        "model": "e",
        "input": "a",
        "output_dimension": 64,
        "encoding_format": "base64",
    }


def test_deepseek_gets_its_reasoning_back_once_functions_were_called() -> None:
    said = [
        HI,
        assistant("Let me see.", reasoning_content="Hm."),
        HI,
        assistant(None, reasoning="Look.", tool_calls=[function_call("c", "look")]),
        {"role": "tool", "tool_call_id": "c", "content": "seen"},
        assistant("Seen."),
        HI,
    ]
    found = sent("deepseek", *said)["messages"]
    thoughts = [one.get("reasoning_content") for one in found if one["role"] == "assistant"]
    # What a client has lost is not made up; an empty text would count as missing.
    assert thoughts == ["Hm.", "Look.", " "]
    assert all("reasoning_content" not in one for one in found if one["role"] != "assistant")


def test_without_calls_deepseeks_history_stays_as_it_is() -> None:
    said = [HI, assistant("Hello"), HI]
    assert sent("deepseek", *said)["messages"] == said


def test_a_client_of_messages_that_lost_deepseeks_thoughts_may_go_on() -> None:
    asked = messages(
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "c", "name": "look", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c"}]},
    )
    body = body_of(dialect_for("messages", "deepseek").encode_request(asked, target("m")))
    assert body["messages"][1]["reasoning_content"] == " "


def test_deepseek_sees_no_images_and_says_so() -> None:
    with pytest.raises(BadCall, match="text only") as caught:
        sent("deepseek", user([{"type": "text", "text": "What?"}, IMAGE]))
    assert caught.value.param == "messages"
    assert sent("deepseek", user([{"type": "text", "text": "What?"}]))["messages"]


def test_deepseek_gives_one_choice_and_refuses_more() -> None:
    with pytest.raises(BadCall) as caught:
        sent("deepseek", HI, n=2)
    assert caught.value.param == "n"
    assert sent("deepseek", HI, n=1)["n"] == 1
    assert sent("deepseek", HI, n=None)["messages"]


def test_deepseek_is_told_a_schema_in_words() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    body = sent("deepseek", {"role": "system", "content": "Be brief."}, HI, response_format=wanted)
    assert body["response_format"] == {"type": "json_object"}
    told, *rest = body["messages"]
    assert told["role"] == "system"
    assert json.loads(told["content"].partition(": ")[2]) == schema
    assert [one["content"] for one in rest] == ["Be brief.", "Hi"]


def test_any_other_form_of_deepseeks_answer_passes() -> None:
    wanted = {"type": "json_object"}
    body = sent("deepseek", HI, response_format=wanted)
    assert (body["response_format"], body["messages"]) == (wanted, [HI])


@pytest.mark.parametrize("dialect", ["mistral", "deepseek"])
def test_messages_that_cannot_be_read_are_the_clients_fault(dialect: str) -> None:
    with pytest.raises(BadCall) as caught:
        sent(dialect, {"role": 3, "content": "x"})
    assert caught.value.param == "messages"


THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm. "}]}
SAID = {"type": "text", "text": "Hello"}


def choice(place: str, content: Any, **more: Any) -> dict[str, Any]:
    shared = {"id": "c", "created": 1, "model": "x", "object": "chat.completion.chunk"}
    return {
        **shared,
        "choices": [{"index": 0, place: {"content": content}, "finish_reason": None, **more}],
    }


@pytest.mark.parametrize("face", ["chat", "messages"])
def test_what_mistral_thinks_in_parts_is_read_as_reasoning(face: str) -> None:
    dialect = dialect_for(face, "mistral")  # type: ignore[arg-type]
    call = chat() if face == "chat" else messages()
    body = json.dumps(choice("message", [THOUGHT, SAID], finish_reason="stop"))
    found = json.loads(dialect.decode_answer(call, target("m"), body.encode()).body)
    if face == "chat":
        message = found["choices"][0]["message"]
        assert (message["content"], message["reasoning_content"]) == ("Hello", "Hm. ")
    else:
        assert [block["type"] for block in found["content"]] == ["thinking", "text"]


@pytest.mark.parametrize("face", ["chat", "messages"])
def test_and_so_it_is_in_a_stream(face: str) -> None:
    dialect = dialect_for(face, "mistral")  # type: ignore[arg-type]
    call = chat(stream=True) if face == "chat" else messages(stream=True)
    said = [
        choice("delta", [THOUGHT]),
        choice("delta", [{"type": "thinking", "thinking": "So."}]),
        choice("delta", [SAID]),
        choice("delta", " there", finish_reason="stop"),
    ]
    pieces = [*(f"data: {json.dumps(one)}\n\n".encode() for one in said), b"data: [DONE]\n\n"]
    data = frames(stream(dialect, call, pieces))
    if face == "chat":
        found = chat_message(data)
        assert (found["content"], found["reasoning"]) == ("Hello there", "Hm. So.")
    else:
        thought, text = message(data)["content"]
        assert (thought["thinking"], text["text"]) == ("Hm. So.", "Hello there")


def test_an_answer_in_one_text_keeps_its_bytes() -> None:
    body = b'{"id":"c",  "choices":[{"message":{"content":"a [\\"content\\": [] list"}}]}'
    assert MISTRAL.read(body) is body
    strange = b'{"choices":[{"message":{"content":[3]}}]}'
    assert MISTRAL.read(strange) == strange


@pytest.mark.parametrize(("asked", "expected"), [(2, 1.5), (1.5, 1.5), (0, 0), (None, None)])
def test_a_temperature_above_mistrals_highest_becomes_that(asked: Any, expected: Any) -> None:
    assert sent("mistral", HI, temperature=asked).get("temperature") == expected

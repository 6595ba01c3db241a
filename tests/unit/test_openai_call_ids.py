"""Ids of calls that other providers made, in a history that goes on at OpenAI."""

import json
from typing import Any

import pytest

from adapters.middle.signature import owned, with_signature
from adapters.registry import dialect_for
from tests.dialect_wire import assistant, body_of, chat, function_call, messages, target, user

SIGNED = with_signature("call_1", owned("gemini", "c2ln" * 500))
LONG = "toolu_" + "x" * 60


def history(call_id: str) -> list[dict[str, Any]]:
    return [
        user("Hi"),
        assistant(None, tool_calls=[function_call(call_id, "look")]),
        {"role": "tool", "tool_call_id": call_id, "content": "seen"},
    ]


def ids(body: dict[str, Any]) -> tuple[str, str]:
    return body["messages"][1]["tool_calls"][0]["id"], body["messages"][2]["tool_call_id"]


def sent(*said: dict[str, Any]) -> dict[str, Any]:
    return body_of(dialect_for("chat", "openai").encode_request(chat(*said), target("gpt-5")))


def test_a_signature_stays_behind_with_its_provider() -> None:
    assert ids(sent(*history(SIGNED))) == ("call_1", "call_1")


def test_an_id_that_is_long_without_it_too_is_made_fit_and_still_matches() -> None:
    signed = with_signature(LONG, "s")
    made, result = ids(sent(*history(signed)))
    assert made == result
    assert len(made) == 40
    assert made != ids(sent(*history(with_signature(f"{LONG}y", "s"))))[0]


@pytest.mark.parametrize("call_id", ["call_1", LONG])
def test_where_nothing_is_hidden_every_byte_passes(call_id: str) -> None:
    said = history(call_id)
    encoded = dialect_for("chat", "openai").encode_request(chat(*said), target("gpt-5"))
    assert json.dumps(said[1]).encode() in encoded.body


def test_words_about_the_mark_change_no_message() -> None:
    said = [user("What does __thought__ mean?"), assistant("Who knows?", extra={"a": 1}), user("!")]
    assert sent(*said)["messages"] == said


def test_a_strange_message_is_for_the_provider_to_judge() -> None:
    said = [user("__thought__"), {"role": "assistant", "tool_calls": "none"}]
    assert sent(*said)["messages"] == said


def test_ids_of_claudes_clients_are_made_fit_too() -> None:
    asked = messages(
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": LONG, "name": "look", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": LONG}]},
    )
    body = body_of(dialect_for("messages", "openai").encode_request(asked, target("gpt-5")))
    made, result = ids(body)
    assert made == result
    assert len(made) == 40

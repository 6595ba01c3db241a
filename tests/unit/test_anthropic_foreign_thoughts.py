"""What other models thought, in a history of Messages that goes on at Anthropic."""

import json
from typing import Any

import pytest

from adapters.middle.signature import owned
from adapters.registry import dialect_for
from tests.dialect_wire import messages, target

NATIVE = dialect_for("messages", "anthropic")
HI: dict[str, Any] = {"role": "user", "content": "Hi"}
OURS: dict[str, Any] = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
SAID: dict[str, Any] = {"type": "text", "text": "Hello"}


def sent(*said: dict[str, Any]) -> list[dict[str, Any]]:
    body = NATIVE.encode_request(messages(*said), target("claude-sonnet-4-5")).body
    found: list[dict[str, Any]] = json.loads(body)["messages"]
    return found


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


FOREIGN: dict[str, dict[str, Any]] = {
    "unsigned": {"type": "thinking", "thinking": "hm", "signature": ""},
    "without a signature": {"type": "thinking", "thinking": "hm"},
    "gemini's": {"type": "thinking", "thinking": "hm", "signature": owned("gemini", "c2ln")},
    "bedrock's secret": {"type": "redacted_thinking", "data": owned("bedrock", "c2ln")},
}


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN.keys())
def test_it_stays_behind(foreign: dict[str, Any]) -> None:
    assert sent(HI, assistant(OURS, foreign, SAID), HI) == [HI, assistant(OURS, SAID), HI]


@pytest.mark.parametrize("foreign", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_message_that_was_nothing_else_goes_with_it(foreign: dict[str, Any]) -> None:
    assert sent(HI, assistant(foreign), HI) == [HI, HI]


def test_what_anthropic_thought_goes_back_in_its_own_bytes() -> None:
    secret = {"type": "redacted_thinking", "data": "c2VjcmV0"}
    said = [HI, assistant(OURS, secret, SAID), HI]
    body = NATIVE.encode_request(messages(*said), target("claude-sonnet-4-5")).body
    assert json.dumps(said).encode() in body


def test_words_about_thinking_change_nothing() -> None:
    asked: dict[str, Any] = {"role": "user", "content": 'the type "thinking"'}
    said = [asked, assistant(SAID), HI]
    assert sent(*said) == said


def test_blocks_that_cannot_be_read_are_for_the_provider_to_judge() -> None:
    said = [HI, {"role": "assistant", "content": [{"type": "thinking", "signature": 3}]}]
    assert sent(*said) == said

"""Names of functions that a provider does not take: changed on the way, and never seen by the client."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.middle.conversation import (
    Conversation,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from adapters.middle.tool_name import NameRule, ToolNames
from adapters.registry import dialect_for
from tests.dialect_wire import (
    assistant,
    body_of,
    chat,
    chat_message,
    frames,
    function,
    function_call,
    messages,
    named,
    stream,
    target,
)

RULES = {
    "anthropic": NameRule(signs="A-Za-z0-9_-", longest=128),
    "cohere": NameRule(signs="A-Za-z0-9_", longest=64, first="A-Za-z_"),
    "gemini": NameRule(signs="A-Za-z0-9_.:-", longest=64, first="A-Za-z_"),
}
GOOD = {
    "anthropic": re.compile(r"[a-zA-Z0-9_-]{1,128}"),
    "cohere": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}"),
    "gemini": re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}"),
}
BAD = "files.read/größe !"


def tools(*names: str) -> Conversation:
    return Conversation(
        turns=(Turn("user", (Text(text="Hi"),)),), tools=tuple(Tool(name=name) for name in names)
    )


def sent(conversation: Conversation, rule: NameRule) -> list[str]:
    return [tool.name for tool in ToolNames(conversation, rule).written(conversation).tools]


@pytest.mark.parametrize("dialect", RULES)
@pytest.mark.parametrize("name", ["add", "_x", "a_b", "A" * 64])
def test_a_name_that_is_taken_stays_and_costs_nothing(dialect: str, name: str) -> None:
    asked = tools(name)
    assert ToolNames(asked, RULES[dialect]).written(asked) is asked


@pytest.mark.parametrize("dialect", RULES)
@pytest.mark.parametrize("name", ["1 st", "a b", "größe", "A" * 129, "", "a/b", "a\n", "٣"])
def test_any_other_becomes_one_that_is_taken(dialect: str, name: str) -> None:
    [made] = sent(tools(name), RULES[dialect])
    assert GOOD[dialect].fullmatch(made)


def test_a_name_is_the_same_whatever_stands_beside_it() -> None:
    rule = RULES["anthropic"]
    assert sent(tools("a b"), rule)[0] == sent(tools("x", "a b", "a/b"), rule)[1]


@given(st.lists(st.text(alphabet="ab _/ü", max_size=5), unique=True), st.sampled_from(list(RULES)))
def test_no_two_functions_ever_get_the_same_name(names: list[str], dialect: str) -> None:
    rule = RULES[dialect]
    # Beside each name stands the one that would be made of it.
    every = list(dict.fromkeys([*names, *(rule.made_of(name) for name in names)]))
    found = sent(tools(*every), rule)
    assert len(set(found)) == len(every)
    assert all(rule.takes(name) for name in found)


def test_calls_results_and_choices_follow_their_function() -> None:
    asked = Conversation(
        turns=(
            Turn("assistant", (ToolCall(id="c", name=BAD),)),
            Turn("user", (ToolResult(call_id="c", name=BAD),)),
        ),
        tools=(Tool(name=BAD),),
        tool_choice=ToolChoice("named", BAD),
    )
    found = ToolNames(asked, RULES["anthropic"]).written(asked)
    [name] = {tool.name for tool in found.tools}
    assert name != BAD
    [call], [result] = (turn.parts for turn in found.turns)
    assert isinstance(call, ToolCall)
    assert isinstance(result, ToolResult)
    assert {call.name, result.name, found.tool_choice and found.tool_choice.name} == {name}


HISTORY: list[dict[str, Any]] = [
    {"role": "user", "content": "Hi"},
    assistant(None, tool_calls=[function_call("c1", BAD)]),
    {"role": "tool", "tool_call_id": "c1", "content": "seen"},
]
CHOICE = {"type": "function", "function": {"name": BAD}}


def test_a_chat_client_never_sees_what_claude_was_told() -> None:
    dialect = dialect_for("chat", "anthropic")
    for streamed in (False, True):
        call = chat(*HISTORY, tools=[function(BAD)], tool_choice=CHOICE, stream=streamed)
        body = body_of(dialect.encode_request(call, target("claude-haiku-4-5")))
        name = body["tools"][0]["name"]
        assert GOOD["anthropic"].fullmatch(name)
        assert body["tool_choice"]["name"] == body["messages"][1]["content"][0]["name"] == name
        block = {"type": "tool_use", "id": "t1", "name": name, "input": {}}
        if streamed:
            pieces = [
                named("message_start", message={"id": "m"}),
                named("content_block_start", index=0, content_block=block),
                named("content_block_stop", index=0),
                named("message_delta", delta={"stop_reason": "tool_use"}),
                named("message_stop"),
            ]
            [called] = chat_message(frames(stream(dialect, call, pieces)))["calls"]
            assert called[1] == BAD
        else:
            whole = {"id": "m", "content": [block], "stop_reason": "tool_use"}
            answer = dialect.decode_answer(call, target("x"), json.dumps(whole).encode())
            message = json.loads(answer.body)["choices"][0]["message"]
            assert message["tool_calls"][0]["function"]["name"] == BAD


def test_a_long_name_of_claudes_client_is_one_that_openai_takes() -> None:
    long = "mcp__" + "server_" * 12 + "tool"
    asked = messages(tools=[{"name": long, "input_schema": {"type": "object"}}])
    body = body_of(dialect_for("messages", "openai").encode_request(asked, target("gpt-5")))
    assert len(body["tools"][0]["function"]["name"]) == 64

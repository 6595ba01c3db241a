"""Whole answers of Converse, read into the middle."""

import json
from typing import Any

import msgspec
import pytest

from adapters.dialect import BadAnswer, FailureKind, Usage
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import (
    Conversation,
    OutputFormat,
    Part,
    Reasoning,
    Text,
    ToolCall,
)
from tests.unit.bedrock_wire import UPSTREAM, usage, whole
from tests.unit.gemini_wire import conversation, tool

FORM = OutputFormat(kind="json_schema", schema=msgspec.Raw(b'{"type":"object"}'))


def decoded(body: bytes, asked: Conversation | None = None) -> WholeAnswer:
    return UPSTREAM.decode(asked or conversation(), body)


def choice(body: bytes, asked: Conversation | None = None) -> Choice:
    (found,) = decoded(body, asked).choices
    return found


def use(call_id: str = "c1", name: str = "add", **fields: Any) -> Any:
    return {"toolUse": {"toolUseId": call_id, "name": name, **fields}}


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"text": "Hello"}, Text(text="Hello")),
        (use(input={"a": 1}), ToolCall(id="c1", name="add", arguments='{"a": 1}')),
        (use(input={}), ToolCall(id="c1", name="add", arguments="{}")),
        (use(input=None), ToolCall(id="c1", name="add", arguments="{}")),
        (use(), ToolCall(id="c1", name="add", arguments="{}")),
        (
            {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": "s"}}},
            Reasoning(text="Hm", signature="bedrock:s"),
        ),
        ({"reasoningContent": {"reasoningText": {"text": "Hm"}}}, Reasoning(text="Hm")),
        (
            {"reasoningContent": {"reasoningText": {"text": "", "signature": "s"}}},
            Reasoning(signature="bedrock:s"),
        ),
        (
            {"reasoningContent": {"redactedContent": "eHg="}},
            Reasoning(redacted="bedrock:eHg="),
        ),
        (
            {"citationsContent": {"content": [{"text": "It "}, {"text": "is."}], "citations": []}},
            Text(text="It is."),
        ),
        ({"text": ""}, None),
        ({"image": {"format": "png", "source": {"bytes": "eHg="}}}, None),
        (use(type="server_tool_use", input={}), None),
        ({"toolResult": {"toolUseId": "c1", "content": [{"text": "x"}]}}, None),
        ({"newKind": {"any": 1}}, None),
    ],
)
def test_each_block_is_a_part_or_says_nothing_to_our_clients(block: Any, part: Part | None) -> None:
    assert choice(whole(block)).parts == (() if part is None else (part,))


def test_parts_stay_in_order_and_calls_are_all_there() -> None:
    found = choice(
        whole({"text": "Well."}, use("c1"), use("c2", "sub"), use("c3"), reason="tool_use")
    )
    assert [getattr(part, "id", None) for part in found.parts] == [None, "c1", "c2", "c3"]
    assert found.stop == "tool_calls"


@pytest.mark.parametrize(
    ("reason", "called", "stop"),
    [
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("stop_sequence", False, "stop"),
        ("tool_use", True, "tool_calls"),
        ("tool_use", False, "stop"),
        ("max_tokens", False, "length"),
        ("max_tokens", True, "length"),
        ("model_context_window_exceeded", False, "length"),
        ("guardrail_intervened", False, "content_filter"),
        ("content_filtered", True, "content_filter"),
        ("something_new", False, "content_filter"),
    ],
)
def test_why_it_ended_is_said_in_openais_words(reason: str, called: bool, stop: str) -> None:
    blocks = [use()] if called else [{"text": "x"}]
    assert choice(whole(*blocks, reason=reason)).stop == stop


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_what_the_model_spoiled_is_no_answer(reason: str) -> None:
    with pytest.raises(BadAnswer) as caught:
        decoded(whole({"text": "x"}, reason=reason))
    assert caught.value.failure.kind is FailureKind.INVALID
    assert caught.value.failure.code == reason


def test_the_stop_text_of_a_claude_is_told() -> None:
    for text in ("END", None):
        body = whole({"text": "x"}, additionalModelResponseFields={"stop_sequence": text})
        assert choice(body).stop_sequence == text


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        (usage(5, 7), Usage(input_tokens=5, output_tokens=7)),
        (
            usage(5, 7, cacheReadInputTokens=10, cacheWriteInputTokens=20),
            Usage(input_tokens=35, output_tokens=7, cached_tokens=10, cache_write_tokens=20),
        ),
        (
            {**usage(0, 7), "cacheReadInputTokens": 3, "cacheWriteInputTokens": None},
            Usage(input_tokens=3, output_tokens=7, cached_tokens=3),
        ),
        (usage(1, 2) | {"cacheDetails": []}, Usage(input_tokens=1, output_tokens=2)),
        ({}, None),
        (None, None),
        ({"inputTokens": -1, "outputTokens": 2}, None),
        ({"inputTokens": "many"}, None),
        ([], None),
    ],
)  # fmt: skip
def test_cached_tokens_are_parts_of_the_input(counts: Any, found: Usage | None) -> None:
    assert decoded(whole({"text": "x"}, usage=counts)).usage == found


@pytest.mark.parametrize(
    ("reason", "input_", "text"),
    [("tool_use", {"a": 1}, '{"a": 1}'), ("end_turn", {}, "{}")],
)
def test_the_forms_function_is_the_answers_text(reason: str, input_: Any, text: str) -> None:
    asked = conversation(format=FORM)
    found = choice(whole(use(name="give_answer", input=input_), reason=reason), asked)
    assert found == Choice(parts=(Text(text=text),), stop="stop")


def test_beside_the_form_only_the_clients_own_calls_are_calls() -> None:
    asked = conversation(format=FORM, tools=(tool(),))
    found = choice(whole(use(input={}), use("c2", "give_answer"), reason="tool_use"), asked)
    assert found.stop == "tool_calls"
    assert found.parts == (ToolCall(id="c1", name="add"), Text(text="{}"))


def test_a_client_that_has_a_function_of_that_name_keeps_it() -> None:
    asked = conversation(format=FORM, tools=(tool("give_answer"),))
    found = choice(whole(use(name="give_answer"), reason="tool_use"), asked)
    assert found.parts == (ToolCall(id="c1", name="give_answer"),)


def test_an_answer_may_say_nothing() -> None:
    found = decoded(whole())
    assert found.choices == (Choice(parts=(), stop="stop"),)
    assert (found.id, found.created) == (None, None)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'"x"',
        b'{"message":"no"}',
        b'{"Output":{"__type":"com.amazon.coral.service#UnknownOperationException"},"Version":"1.0"}',
        b'{"output":{"message":{"role":"assistant","content":[{"text":"x"}]}}}',
        b'{"output":{"message":{"content":"x"}},"stopReason":"end_turn"}',
        whole({"text": "x"})[:-5],
        whole({"text": "x"}).replace(b"end_turn", b"end\xff"),
        b'{"output":' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_told_as_such(body: bytes) -> None:
    with pytest.raises(BadAnswer) as caught:
        decoded(body)
    assert caught.value.failure.kind is FailureKind.INVALID


def test_unicode_survives_however_it_is_written() -> None:
    body = whole({"text": "ü🙂\u2028"}, use(input={"a": "ü🙂"}))
    for form in (body, json.dumps(json.loads(body), ensure_ascii=False).encode()):
        text, called = choice(form).parts
        assert text == Text(text="ü🙂\u2028")
        assert isinstance(called, ToolCall)
        assert json.loads(called.arguments) == {"a": "ü🙂"}

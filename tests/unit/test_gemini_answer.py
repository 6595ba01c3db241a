"""Whole answers of Gemini, and what of them a stream must tell just the same."""

import json
from typing import Any

import pytest

from adapters.dialect import BadAnswer, FailureKind, Usage
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import Conversation, OutputFormat, Part, Reasoning, Text, ToolCall
from tests.unit.gemini_wire import UPSTREAM, call, conversation, response, said, text, tool


def decode(answer: Any, asked: Conversation | None = None) -> WholeAnswer:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return UPSTREAM.decode(asked or conversation(), body)


def parts(*found: Any, finish: str | None = "STOP", asked: Conversation | None = None) -> Choice:
    [choice] = decode(response(said(*found, finish=finish)), asked).choices
    return choice


def test_an_answer_has_its_id_its_time_and_its_text() -> None:
    answer = decode(
        response(said(text("Hel"), text("lo"), finish="STOP"), createTime="2026-11-23T10:00:00.5Z")
    )
    assert answer == WholeAnswer(
        id="resp-1",
        created=1795428000,
        choices=(Choice(parts=(Text(text="Hello"),), stop="stop"),),
    )


@pytest.mark.parametrize("time", ["yesterday", "", "9999-99-99T00:00:00Z"])
def test_a_time_that_cannot_be_read_was_not_told(time: str) -> None:
    assert decode(response(said(finish="STOP"), createTime=time)).created is None


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", "stop"),
        (None, "stop"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
        ("MAX_TOKENS", "length"),
        *(
            (reason, "content_filter")
            for reason in (
                "SAFETY",
                "RECITATION",
                "BLOCKLIST",
                "PROHIBITED_CONTENT",
                "SPII",
                "LANGUAGE",
                "OTHER",
                "IMAGE_SAFETY",
                "A_REASON_OF_TOMORROW",
            )
        ),
    ],
)
def test_a_finish_reason_is_one_of_openais(reason: str | None, stop: str) -> None:
    assert parts(text("So"), finish=reason).stop == stop


@pytest.mark.parametrize(("reason", "stop"), [("STOP", "tool_calls"), ("MAX_TOKENS", "length")])
def test_calls_decide_what_stop_means(reason: str, stop: str) -> None:
    assert parts(call(), text(""), finish=reason).stop == stop


@pytest.mark.parametrize(
    "reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"]
)
def test_a_spoiled_call_is_a_failure_and_no_answer(reason: str) -> None:
    with pytest.raises(BadAnswer) as bad:
        parts(finish=reason)
    assert bad.value.failure.kind is FailureKind.INVALID
    assert bad.value.failure.code == reason


def test_a_candidate_stopped_before_it_spoke_is_an_empty_choice() -> None:
    assert parts(finish="SAFETY") == Choice(parts=(), stop="content_filter")


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([text("a"), text(""), text("b")], [Text(text="ab")]),
        (
            [text("hm ", thought=True), text("so", thought=True), text("Yes.")],
            [Reasoning(text="hm so"), Text(text="Yes.")],
        ),
        (
            [text("hm", thought=True, thoughtSignature="s"), text("Yes.")],
            [Reasoning(text="hm", signature="gemini:s"), Text(text="Yes.")],
        ),
        (
            [text("hm", thought=True), text("", thought=True, thoughtSignature="s"), text("Yes.")],
            [Reasoning(text="hm", signature="gemini:s"), Text(text="Yes.")],
        ),
        (
            [text("Yes."), text("", thoughtSignature="s")],
            [Text(text="Yes."), Reasoning(signature="gemini:s")],
        ),
        (
            [text("Yes.", thoughtSignature="s"), text(" No.")],
            [Text(text="Yes."), Reasoning(signature="gemini:s"), Text(text=" No.")],
        ),
        (
            [call("add", {"a": [1, 2]}, thoughtSignature="s")],
            [ToolCall(id="x", name="add", arguments='{"a":[1,2]}', signature="gemini:s")],
        ),
        ([call("now")], [ToolCall(id="x", name="now", arguments="{}")]),
        ([{"inlineData": {"mimeType": "image/png", "data": ""}}, text("a")], [Text(text="a")]),
    ],
)
def test_parts_are_text_thoughts_and_calls(found: list[Any], expected: list[Part]) -> None:
    for part in found:
        part.get("functionCall", {}).setdefault("id", "x")
    assert parts(*found).parts == tuple(expected)


def test_calls_without_ids_get_their_own_which_stay_the_same_for_one_answer() -> None:
    found = parts(call(), call()).parts
    ids = [part.id for part in found if isinstance(part, ToolCall)]
    other = decode(response(said(call(), finish="STOP"), responseId="resp-2")).choices[0].parts[0]
    assert isinstance(other, ToolCall)
    assert len({*ids, other.id}) == 3
    assert all(call_id.startswith("call_") for call_id in ids)
    assert parts(call(), call()).parts == found


def test_arguments_are_dense_whatever_the_provider_makes_of_them() -> None:
    body = json.dumps(response(said(call("add", {"a": {"b": "c d"}}), finish="STOP")), indent=2)
    [part] = decode(body.encode()).choices[0].parts
    assert isinstance(part, ToolCall)
    assert part.arguments == '{"a":{"b":"c d"}}'


def test_the_function_that_stands_for_the_form_is_the_answers_text() -> None:
    form = OutputFormat(kind="json_schema", schema=tool().parameters)
    asked = conversation(tools=(tool(),), format=form)
    found = parts(call("give_answer", {"a": 1}), asked=asked)
    assert found == Choice(parts=(Text(text='{"a":1}'),), stop="stop")
    assert parts(call("add"), asked=asked).stop == "tool_calls"


def test_candidates_are_choices_by_their_index() -> None:
    answer = decode(
        response(said(text("b"), finish="STOP", index=1), said(text("a"), finish="STOP", index=0))
    )
    assert [choice.parts for choice in answer.choices] == [(Text(text="a"),), (Text(text="b"),)]


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        (
            {
                "promptTokenCount": 10,
                "toolUsePromptTokenCount": 5,
                "cachedContentTokenCount": 4,
                "candidatesTokenCount": 3,
                "thoughtsTokenCount": 2,
                "totalTokenCount": 20,
            },
            Usage(input_tokens=15, output_tokens=5, cached_tokens=4, reasoning_tokens=2),
        ),
        ({"promptTokenCount": 10, "totalTokenCount": 17}, Usage(input_tokens=10, output_tokens=7)),
        ({"promptTokenCount": 10}, Usage(input_tokens=10)),
        (
            {"promptTokenCount": 3, "cachedContentTokenCount": 9},
            Usage(input_tokens=3, cached_tokens=3),
        ),
        ({"promptTokenCount": 1, "trafficType": "ON_DEMAND"}, Usage(input_tokens=1)),
        ({"trafficType": "ON_DEMAND"}, None),
        ({}, None),
        (None, None),
        ({"promptTokenCount": "many"}, None),
        ({"promptTokenCount": -1}, None),
    ],
)
def test_usage_counts_thoughts_as_output_and_tools_as_input(
    metadata: Any, usage: Usage | None
) -> None:
    assert decode(response(said(finish="STOP"), usageMetadata=metadata)).usage == usage


@pytest.mark.parametrize(
    ("answer", "kind", "status"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, FailureKind.CONTENT_POLICY, 400),
        (
            {"candidates": [], "promptFeedback": {"blockReason": "OTHER"}},
            FailureKind.CONTENT_POLICY,
            400,
        ),
        ({"candidates": []}, FailureKind.INVALID, 200),
        ({}, FailureKind.INVALID, 200),
        ([], FailureKind.INVALID, 200),
        (b"", FailureKind.INVALID, 200),
        (b"<html>", FailureKind.INVALID, 200),
        (b'{"responseId":"\xff"}', FailureKind.INVALID, 200),
        ({"candidates": [{"content": {"parts": [{"text": 1}]}}]}, FailureKind.INVALID, 200),
        ({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}, FailureKind.RATE_LIMITED, 429),
        ([{"error": {"status": "UNAVAILABLE"}}], FailureKind.OVERLOADED, 503),
        ({"error": "strange"}, FailureKind.OVERLOADED, 500),
    ],
)
def test_what_is_no_answer_is_a_failure(answer: Any, kind: FailureKind, status: int) -> None:
    with pytest.raises(BadAnswer) as bad:
        decode(answer)
    assert (bad.value.failure.kind, bad.value.failure.status) == (kind, status)
    assert bad.value.failure.message


def test_a_blocked_prompt_says_why() -> None:
    feedback = {"blockReason": "MODEL_ARMOR", "blockReasonMessage": "No such words here."}
    with pytest.raises(BadAnswer) as bad:
        decode({"promptFeedback": feedback})
    assert bad.value.failure.message == "No such words here."
    assert bad.value.failure.code == "content_filter"


def test_feedback_on_a_prompt_that_was_answered_is_no_block() -> None:
    answer = response(said(text("a"), finish="STOP"), promptFeedback={"safetyRatings": []})
    assert decode(answer).choices[0].stop == "stop"

"""Anthropic as an upstream: whole answers, streams, stop reasons, usage and errors, read into the middle."""

import json
from typing import Any

import msgspec
import pytest

from adapters.anthropic.error import classify
from adapters.anthropic.stops import reason_of, stop_of
from adapters.anthropic.upstream import AnthropicUpstream
from adapters.anthropic.usage import UsageCount, read_usage, usage_fields
from adapters.dialect import BadAnswer, FailureKind, Usage
from adapters.middle.answer import Choice, StopReason
from adapters.middle.conversation import (
    Conversation,
    OutputFormat,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    Turn,
)
from adapters.middle.event import (
    Alive,
    Begun,
    Ended,
    Failed,
    Grown,
    Malformed,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from tests.dialect_wire import events_of, named

PLAIN = Conversation(turns=(Turn("user", (Text(text="Hi"),)),))
FORM = OutputFormat(kind="json_schema", schema=Tool(name="").parameters)
FORMED = msgspec.structs.replace(PLAIN, format=FORM)


def raw(value: object) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


# --- whole answers ----------------------------------------------------------------------------------


def answer(
    *content: dict[str, Any], asked: Conversation = PLAIN, reason: str = "end_turn", **fields: Any
) -> Choice:
    body = {"id": "msg_1", "content": content, "stop_reason": reason, **fields}
    (choice,) = AnthropicUpstream().decode(asked, json.dumps(body).encode()).choices
    return choice


TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": 1}}
GIVEN = {"type": "tool_use", "id": "toolu_2", "name": "give_answer", "input": {"age": 7}}


def test_every_block_becomes_a_part_in_its_order() -> None:
    found = answer(
        {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "c2VjcmV0"},
        {"type": "text", "text": "Hi", "citations": None},
        {"type": "text", "text": ""},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        TOOL_USE,
        {"type": "a_new_one"},
        {**TOOL_USE, "id": "toolu_3", "input": {}},
        reason="tool_use",
    )
    assert found == Choice(
        parts=(
            Reasoning(text="hm", signature="c2ln"),
            Reasoning(redacted="c2VjcmV0"),
            Text(text="Hi"),
            ToolCall(id="toolu_1", name="look", arguments='{"a": 1}'),
            ToolCall(id="toolu_3", name="look"),
        ),
        stop="tool_calls",
    )


def test_the_tool_of_the_answers_form_is_the_answers_text() -> None:
    found = answer(GIVEN, asked=FORMED, reason="tool_use")
    assert found == Choice(parts=(Text(text='{"age": 7}'),), stop="stop")


def test_beside_it_the_clients_own_tools_stay_calls() -> None:
    found = answer(TOOL_USE, GIVEN, asked=FORMED, reason="tool_use")
    assert [type(part) for part in found.parts] == [ToolCall, Text]
    assert found.stop == "tool_calls"


def test_a_clients_own_tool_of_that_name_is_its_own() -> None:
    asked = msgspec.structs.replace(FORMED, tools=(Tool(name="give_answer"),))
    assert isinstance(answer(GIVEN, asked=asked).parts[0], ToolCall)
    assert isinstance(answer(GIVEN, asked=PLAIN).parts[0], ToolCall)


def test_a_stop_sequence_is_told() -> None:
    found = answer({"type": "text", "text": "a"}, reason="stop_sequence", stop_sequence="END")
    assert (found.stop, found.stop_sequence) == ("stop", "END")


REASONS: dict[str, StopReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "a_new_one": "stop",
}


@pytest.mark.parametrize(("reason", "stop"), REASONS.items())
def test_every_stop_reason_is_one_of_ours(reason: str, stop: StopReason) -> None:
    assert stop_of(reason, has_calls=True) == stop


def test_without_calls_nothing_is_to_be_called() -> None:
    assert stop_of("tool_use", has_calls=False) == "stop"


@pytest.mark.parametrize(
    ("stop", "sequence", "has_calls", "reason"),
    [
        ("stop", None, False, "end_turn"),
        ("stop", "END", False, "stop_sequence"),
        ("stop", None, True, "tool_use"),
        ("tool_calls", None, True, "tool_use"),
        ("tool_calls", None, False, "end_turn"),
        ("length", None, True, "max_tokens"),
        ("content_filter", None, False, "refusal"),
    ],
)
def test_every_stop_of_ours_is_a_reason(
    stop: StopReason, sequence: str | None, has_calls: bool, reason: str
) -> None:
    assert reason_of(stop, sequence, has_calls=has_calls) == reason


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.INVALID),
        (b"{}", FailureKind.INVALID),
        (b'{"content":"a"}', FailureKind.INVALID),
        (b'{"content":[]}\xff', FailureKind.INVALID),
        (
            b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}',
            FailureKind.OVERLOADED,
        ),
    ],
)
def test_what_is_no_answer_is_a_failure_of_its_class(body: bytes, kind: FailureKind) -> None:
    with pytest.raises(BadAnswer) as caught:
        AnthropicUpstream().decode(PLAIN, body)
    assert caught.value.failure.kind is kind


# --- usage ------------------------------------------------------------------------------------------

COUNTS = {
    "input_tokens": 5,
    "cache_read_input_tokens": 30,
    "cache_creation_input_tokens": 200,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 4},
}
COUNTED = Usage(
    input_tokens=235, output_tokens=7, cached_tokens=30, cache_write_tokens=200, reasoning_tokens=4
)


def test_the_input_holds_what_was_read_from_the_cache_and_written_to_it() -> None:
    assert read_usage(raw(COUNTS)) == COUNTED


def test_and_is_told_without_them() -> None:
    told = usage_fields(COUNTED)
    assert told == {name: COUNTS[name] for name in told}
    assert usage_fields(None)["input_tokens"] == 0


@pytest.mark.parametrize("usage", ["", "null", "7", '{"input_tokens":-1}', '{"input_tokens":"7"}'])
def test_strange_usage_tells_nothing(usage: str) -> None:
    assert read_usage(msgspec.Raw(usage.encode())) is None


def test_in_a_stream_counts_are_taken_and_never_added() -> None:
    count = UsageCount()
    assert count.note(raw({**COUNTS, "output_tokens": 1}))
    assert count.note(raw({"output_tokens": 5}))
    assert count.note(raw(COUNTS))
    assert count.usage == COUNTED


def test_a_later_count_corrects_and_a_zero_does_not() -> None:
    count = UsageCount()
    count.note(raw({"input_tokens": 5, "output_tokens": 0}))
    count.note(raw({"input_tokens": 9, "output_tokens": 2}))
    count.note(raw({"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 3}))
    assert count.usage == Usage(input_tokens=9, output_tokens=3)


# --- streams ----------------------------------------------------------------------------------------


def read(*pieces: bytes, asked: Conversation = PLAIN) -> list[MiddleEvent]:
    return events_of(AnthropicUpstream().event_source(asked), pieces)


def begin(index: int, **block: Any) -> bytes:
    return named("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **fields: Any) -> bytes:
    return named("content_block_delta", index=index, delta={"type": kind, **fields})


def end(index: int) -> bytes:
    return named("content_block_stop", index=index)


START = named("message_start", message={"id": "msg_1", "usage": {"input_tokens": 3}})
STOP = named("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 5})
OVER = named("message_stop")
BEGUN = [Begun(id="msg_1"), UsageTold(Usage(input_tokens=3))]
ENDED = [UsageTold(Usage(input_tokens=3, output_tokens=5)), Stopped(stop="stop"), Ended()]


def test_a_stream_is_read_block_by_block() -> None:
    found = read(
        START,
        named("ping"),
        begin(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="c2ln"),
        end(0),
        begin(1, type="redacted_thinking", data="c2VjcmV0"),
        end(1),
        begin(2, type="text", text=""),
        delta(2, "text_delta", text="Hi"),
        delta(2, "citations_delta", citation={}),
        end(2),
        STOP,
        OVER,
    )
    assert found == [
        *BEGUN,
        Alive(),
        PartBegun(part=0, kind="reasoning"),
        Grown(part=0, text="hm"),
        Grown(part=0, signature="c2ln"),
        PartEnded(part=0),
        PartBegun(part=1, kind="redacted"),
        Grown(part=1, text="c2VjcmV0"),
        PartEnded(part=1),
        PartBegun(part=2, kind="text"),
        Grown(part=2, text="Hi"),
        PartEnded(part=2),
        *ENDED,
    ]


def test_parts_are_numbered_without_the_blocks_that_say_nothing() -> None:
    found = read(
        START,
        begin(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, "input_json_delta", partial_json="{}"),
        end(0),
        begin(1, type="web_search_tool_result", tool_use_id="s", content=[]),
        end(1),
        begin(2, type="text", text="Found"),
        end(2),
    )
    assert found[2:] == [
        PartBegun(part=0, kind="text"),
        Grown(part=0, text="Found"),
        PartEnded(part=0),
    ]


def test_calls_grow_by_fragments_or_come_whole() -> None:
    found = read(
        START,
        begin(0, type="tool_use", id="a", name="look", input={}),
        delta(0, "input_json_delta", partial_json=""),
        delta(0, "input_json_delta", partial_json='{"a":'),
        delta(0, "input_json_delta", partial_json="1}"),
        end(0),
        begin(1, type="tool_use", id="b", name="look", input={"b": 2}),
        end(1),
        begin(2, type="tool_use", id="c", name="look", input={}),
        end(2),
        named("message_delta", delta={"stop_reason": "tool_use"}, usage={}),
    )
    assert found[2:] == [
        PartBegun(part=0, kind="call", id="a", name="look"),
        Grown(part=0, text='{"a":'),
        Grown(part=0, text="1}"),
        PartEnded(part=0),
        PartBegun(part=1, kind="call", id="b", name="look"),
        Grown(part=1, text='{"b": 2}'),
        PartEnded(part=1),
        PartBegun(part=2, kind="call", id="c", name="look"),
        PartEnded(part=2),
        UsageTold(Usage(input_tokens=3)),
        Stopped(stop="tool_calls"),
    ]


def test_the_tool_of_the_answers_form_streams_as_text() -> None:
    found = read(
        START,
        begin(0, type="tool_use", id="a", name="give_answer", input={}),
        delta(0, "input_json_delta", partial_json='{"age":7}'),
        end(0),
        named("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 5}),
        asked=FORMED,
    )
    assert found[2:] == [
        PartBegun(part=0, kind="text"),
        Grown(part=0, text='{"age":7}'),
        PartEnded(part=0),
        *ENDED[:-1],
    ]


def test_a_stream_without_its_first_event_begins_all_the_same() -> None:
    found = read(begin(0, type="text", text=""), delta(0, "text_delta", text="a"))
    assert found[0] == Begun()


def test_a_message_that_says_not_why_it_ended_has_ended() -> None:
    found = read(START, begin(0, type="text", text="a"), OVER)
    assert found[-3:] == [PartEnded(part=0), Stopped(stop="stop"), Ended()]


def test_events_without_a_type_go_by_their_name_and_unknown_ones_are_passed_over() -> None:
    found = read(
        START,
        named("a_new_one", x=1),
        b'event: content_block_start\ndata: {"index":0,"content_block":{"type":"text"}}\n\n',
        delta(7, "text_delta", text="of no block"),
        end(7),
    )
    assert found[2:] == [Alive(), PartBegun(part=0, kind="text")]


def test_what_cannot_be_read_is_malformed() -> None:
    assert read(b"event: ping\ndata: {\n\n", b"event: ping\ndata: \xff\n\n") == [Malformed()] * 2


# --- errors -----------------------------------------------------------------------------------------

ERRORS: dict[str, tuple[int, str, str, FailureKind]] = {
    "a bad request": (400, "invalid_request_error", "max_tokens: too big", FailureKind.REFUSED),
    "too long": (
        400,
        "invalid_request_error",
        "prompt is too long: 210000 tokens > 200000 maximum",
        FailureKind.CONTEXT_LENGTH,
    ),
    "too long with its answer": (
        400,
        "invalid_request_error",
        "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
        FailureKind.CONTEXT_LENGTH,
    ),
    "without credit": (
        400,
        "invalid_request_error",
        "Your credit balance is too low to access the Anthropic API.",
        FailureKind.CREDENTIAL,
    ),
    "filtered": (
        400,
        "invalid_request_error",
        "Output blocked by content filtering policy",
        FailureKind.CONTENT_POLICY,
    ),
    "a wrong key": (401, "authentication_error", "invalid x-api-key", FailureKind.CREDENTIAL),
    "unpaid": (402, "billing_error", "m", FailureKind.CREDENTIAL),
    "forbidden": (403, "permission_error", "m", FailureKind.CREDENTIAL),
    "no such model": (404, "not_found_error", "model: x", FailureKind.REFUSED),
    "too large": (413, "request_too_large", "m", FailureKind.REFUSED),
    "too often": (429, "rate_limit_error", "m", FailureKind.RATE_LIMITED),
    "broken": (500, "api_error", "Internal server error", FailureKind.OVERLOADED),
    "too slow": (504, "timeout_error", "m", FailureKind.OVERLOADED),
    "overloaded": (529, "overloaded_error", "Overloaded", FailureKind.OVERLOADED),
}


@pytest.mark.parametrize(("status", "type_", "message", "kind"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_has_its_class_with_its_status_and_in_a_stream(
    status: int, type_: str, message: str, kind: FailureKind
) -> None:
    error = {"type": type_, "message": message}
    body = json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()
    told = classify(status, [(b"retry-after", b"7")], body, now_at=0.0)
    assert (told.kind, told.status, told.message, told.type) == (kind, status, message, type_)
    assert told.retry_after == 7.0
    (inside,) = read(named("error", error=error))
    assert isinstance(inside, Failed)
    assert inside.failure == msgspec.structs.replace(told, retry_after=None)


def test_a_context_that_is_too_long_has_the_code_that_agents_look_for() -> None:
    body = (
        b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long"}}'
    )
    assert classify(400, [], body, now_at=0.0).code == "context_length_exceeded"


def test_an_error_of_an_unknown_type_in_a_stream_counts_as_the_providers() -> None:
    (found,) = read(named("error", error={"type": "a_new_one", "message": "m"}))
    assert isinstance(found, Failed)
    assert (found.failure.kind, found.failure.status) == (FailureKind.OVERLOADED, 500)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]"])
def test_an_error_of_a_proxy_goes_by_its_status(body: bytes) -> None:
    assert classify(502, [], body, now_at=0.0).kind is FailureKind.OVERLOADED
    assert classify(307, [], body, now_at=0.0).kind is FailureKind.INVALID

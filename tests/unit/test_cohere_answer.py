"""Whole answers of Cohere, its streams, its errors and its embeddings."""

import json
from typing import Any

import msgspec
import pytest

from adapters.cohere.embedding import decode_embedding
from adapters.dialect import BadAnswer, FailureKind, Usage
from adapters.middle.answer import Choice, WholeAnswer
from adapters.middle.conversation import OutputFormat, Part, Reasoning, Text, ToolCall
from adapters.middle.embeddings import Embeddings
from adapters.middle.event import (
    Alive,
    Begun,
    Ended,
    Failed,
    Grown,
    Malformed,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.sse import END, Signal
from tests.unit.cohere_wire import (
    END_OF_CONTENT,
    START,
    UPSTREAM,
    block,
    body,
    call,
    end,
    plan,
    read,
    text,
    thought,
)
from tests.unit.gemini_wire import conversation, tool

ADD = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
NOW = {"id": "c2", "type": "function", "function": {"name": "now", "arguments": ""}}


def decode(answer: Any) -> WholeAnswer:
    raw = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return UPSTREAM.decode(conversation(), raw)


def whole(reason: str = "COMPLETE", **message: Any) -> dict[str, Any]:
    return {"id": "resp-1", "finish_reason": reason, "message": {"role": "assistant", **message}}


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"content": [{"type": "text", "text": "Hello"}]}, [Text(text="Hello")]),
        (
            {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Hi"}]},
            [Reasoning(text="hm"), Text(text="Hi")],
        ),
        (
            {"tool_plan": "I will add.", "tool_calls": [ADD, NOW]},
            [
                Reasoning(text="I will add."),
                ToolCall(id="c1", name="add", arguments='{"a":1}'),
                ToolCall(id="c2", name="now", arguments="{}"),
            ],
        ),
        ({"content": [{"type": "text", "text": ""}, {"type": "new", "x": 1}]}, []),
        ({}, []),
    ],
)
def test_an_answer_is_text_thoughts_and_calls(message: Any, expected: list[Part]) -> None:
    answer = decode(whole(**message))
    assert answer.id == "resp-1"
    assert answer.choices[0].parts == tuple(expected)


@pytest.mark.parametrize(
    ("reason", "calls", "stop"),
    [
        ("COMPLETE", [], "stop"),
        ("STOP_SEQUENCE", [], "stop"),
        ("MAX_TOKENS", [], "length"),
        ("TOOL_CALL", [ADD], "tool_calls"),
        ("COMPLETE", [ADD], "tool_calls"),
        ("MAX_TOKENS", [ADD], "length"),
        ("ERROR_TOXIC", [], "content_filter"),
        ("OF_TOMORROW", [], "content_filter"),
    ],
)
def test_a_finish_reason_is_one_of_openais(reason: str, calls: list[Any], stop: str) -> None:
    assert decode(whole(reason, tool_calls=calls)).choices[0].stop == stop


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (whole("ERROR"), FailureKind.OVERLOADED),
        (whole("TIMEOUT"), FailureKind.OVERLOADED),
        ({"message": "something"}, FailureKind.INVALID),
        ({}, FailureKind.INVALID),
        (b"", FailureKind.INVALID),
        (b"[]", FailureKind.INVALID),
        (b'{"id":"\xff"}', FailureKind.INVALID),
    ],
)
def test_what_is_no_answer_is_a_failure(answer: Any, kind: FailureKind) -> None:
    with pytest.raises(BadAnswer) as bad:
        decode(answer)
    assert bad.value.failure.kind is kind
    assert bad.value.failure.message


BILLED = {"input_tokens": 5, "output_tokens": 3.0}
READ = {"input_tokens": 70, "output_tokens": 9}


@pytest.mark.parametrize(
    ("told", "usage"),
    [
        ({"billed_units": BILLED, "tokens": READ}, Usage(input_tokens=5, output_tokens=3)),
        ({"tokens": READ}, Usage(input_tokens=70, output_tokens=9)),
        ({"billed_units": {}, "tokens": READ}, Usage(input_tokens=70, output_tokens=9)),
        (
            {"tokens": READ, "cached_tokens": 64},
            Usage(input_tokens=70, output_tokens=9, cached_tokens=64),
        ),
        (
            {"billed_units": BILLED, "cached_tokens": 64},
            Usage(input_tokens=5, output_tokens=3, cached_tokens=5),
        ),
        ({"billed_units": {"search_units": 1}}, None),
        ({"tokens": "many"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_usage_is_what_is_billed_or_else_what_was_read(told: Any, usage: Usage | None) -> None:
    assert decode({**whole(), "usage": told}).usage == usage


def test_a_text_stream_is_one_part() -> None:
    usage = {"billed_units": BILLED}
    stream = body(START, block("text"), text("Hel"), text("lo"), END_OF_CONTENT, end(usage=usage))
    assert read([stream + b"data: [DONE]\n\n"], alive=True) == [
        Begun(id="resp-1"),
        Alive(),
        PartBegun(part=0, kind="text"),
        Grown(part=0, text="Hel"),
        Grown(part=0, text="lo"),
        PartEnded(part=0),
        UsageTold(Usage(input_tokens=5, output_tokens=3)),
        Stopped(stop="stop"),
        Ended(),
    ]


def test_a_plan_and_calls_are_parts_with_their_own_numbers() -> None:
    stream = body(
        START,
        plan("I will "),
        plan("add."),
        *call("c1", "add", '{"a"', ":1}"),
        *call("c2", "now"),
        end("TOOL_CALL"),
    )
    assert read([stream]) == [
        Begun(id="resp-1"),
        PartBegun(part=0, kind="reasoning"),
        Grown(part=0, text="I will "),
        Grown(part=0, text="add."),
        PartEnded(part=0),
        PartBegun(part=1, kind="call", id="c1", name="add"),
        Grown(part=1, text='{"a"'),
        Grown(part=1, text=":1}"),
        PartEnded(part=1),
        PartBegun(part=2, kind="call", id="c2", name="now"),
        Grown(part=2, text="{}"),
        PartEnded(part=2),
        Stopped(stop="tool_calls"),
        Ended(),
    ]


GIVEN = {"id": "c3", "function": {"name": "give_answer", "arguments": '{"a":"b"}'}}
ASKED = conversation(
    tools=(tool("add"),),
    format=OutputFormat(kind="json_schema", schema=msgspec.Raw(b'{"type":"object"}')),
)


def test_the_function_of_the_answers_form_is_the_answers_text() -> None:
    answer = whole("TOOL_CALL", tool_plan="I answer.", tool_calls=[GIVEN])
    [choice] = UPSTREAM.decode(ASKED, json.dumps(answer).encode()).choices
    assert choice.parts == (Reasoning(text="I answer."), Text(text='{"a":"b"}'))
    assert choice.stop == "stop"


def test_beside_it_the_clients_own_calls_stay_calls() -> None:
    answer = whole("TOOL_CALL", tool_calls=[ADD, GIVEN])
    [choice] = UPSTREAM.decode(ASKED, json.dumps(answer).encode()).choices
    assert isinstance(choice.parts[0], ToolCall)
    assert choice.parts[1] == Text(text='{"a":"b"}')
    assert choice.stop == "tool_calls"


@pytest.mark.parametrize(("pieces", "text"), [(('{"a"', ":1}"), '{"a":1}'), ((), "{}")])
def test_the_form_is_streamed_as_text(pieces: tuple[str, ...], text: str) -> None:
    source = UPSTREAM.event_source(ASKED)
    source.receive_data(body(START, *call("c1", "give_answer", *pieces), end("TOOL_CALL")))
    source.receive_data(b"")
    found = []
    while not isinstance(event := source.next_event(), Signal):
        found.append(event)
    assert PartBegun(part=0, kind="text") in found
    assert "".join(one.text for one in found if isinstance(one, Grown)) == text
    assert Stopped(stop="stop") in found


def test_thinking_and_text_are_two_parts() -> None:
    stream = body(
        START,
        block("thinking"),
        thought("hm"),
        END_OF_CONTENT,
        block("text"),
        text("Hi"),
        END_OF_CONTENT,
        end(),
    )
    kinds = [found.kind for found in read([stream]) if isinstance(found, PartBegun)]
    assert kinds == ["reasoning", "text"]


@pytest.mark.parametrize("events", [[], [START], [START, block("text"), text("Hel")]])
def test_a_cut_stream_never_ends(events: list[Any]) -> None:
    assert not {type(found) for found in read([body(*events)])} & {Stopped, Ended}


@pytest.mark.parametrize("last", [end("ERROR", error="It broke."), end("TIMEOUT"), end(error="x")])
def test_a_stream_that_the_provider_gives_up_is_a_failure(last: Any) -> None:
    events = read([body(START, text("Hel"), last)])
    assert isinstance(events[-1], Failed)
    assert events[-1].failure.kind is FailureKind.OVERLOADED
    assert not {type(found) for found in events} & {Stopped, Ended}


@pytest.mark.parametrize(
    "data",
    [b"{", b"[1]", b'{"x":1}', b'{"type":"content-delta","delta":3}', b'{"type":"\xff"}'],
)
def test_an_event_that_cannot_be_read_is_malformed_and_the_next_one_counts(data: bytes) -> None:
    events = read([b"data: " + data + b"\n\n" + body(START, text("a"), end())])
    assert events[0] == Malformed()
    assert events[-1] == Ended()


def test_unknown_events_and_citations_are_signs_of_life_whatever_they_hold() -> None:
    stream = body(
        START,
        {"type": "citation-start", "delta": {"message": {"citations": {"text": "x"}}}},
        {"type": "of-tomorrow", "delta": "text"},
        text("a"),
        end(),
    )
    assert [type(found) for found in read([stream], alive=True)][1:3] == [Alive, Alive]


def test_an_endless_event_is_one_failure_and_the_end() -> None:
    source = UPSTREAM.event_source(conversation())
    source.receive_data(b"data: " + b"x" * (17 * 1024 * 1024))
    assert isinstance(source.next_event(), Failed)
    assert source.next_event() is END


TOO_LONG = "too many tokens: size limit exceeded by 11326 tokens."
CAP = "too many tokens: max tokens must be less than or equal to 4096, received 8192."


@pytest.mark.parametrize(
    ("status", "message", "kind", "code"),
    [
        (400, "invalid request", FailureKind.REFUSED, None),
        (400, TOO_LONG, FailureKind.CONTEXT_LENGTH, "context_length_exceeded"),
        (400, CAP, FailureKind.REFUSED, None),
        (401, "invalid api token", FailureKind.CREDENTIAL, None),
        (402, "Please add or update your payment method.", FailureKind.CREDENTIAL, None),
        (404, "model 'x' not found", FailureKind.REFUSED, None),
        (422, "bad field", FailureKind.REFUSED, None),
        (429, "You are past the per minute request limit.", FailureKind.RATE_LIMITED, None),
        (498, "invalid token", FailureKind.CREDENTIAL, None),
        (499, "request cancelled", FailureKind.OVERLOADED, None),
        (500, "internal server error", FailureKind.OVERLOADED, None),
        (503, "unavailable", FailureKind.OVERLOADED, None),
    ],
)
def test_an_error_answer_has_its_class(
    status: int, message: str, kind: FailureKind, code: str | None
) -> None:
    raw = json.dumps({"id": "1", "message": message}).encode()
    failure = UPSTREAM.classify_error(status, [(b"retry-after", b"3")], raw, now_at=0.0)
    assert (failure.kind, failure.status, failure.code) == (kind, status, code)
    assert (failure.message, failure.retry_after) == (message, 3.0)


def test_vectors_come_in_order_with_their_usage() -> None:
    answer = {
        "id": "e",
        "embeddings": {"float": [[1, 2], [0.5]]},
        "meta": {"billed_units": {"input_tokens": 4}},
    }
    found = decode_embedding(json.dumps(answer).encode(), expected=2)
    assert found == Embeddings(((1.0, 2.0), (0.5,)), Usage(input_tokens=4))


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b'{"embeddings":{"int8":[[1]]}}', b'{"embeddings":{"float":[]}}']
)
def test_what_is_no_list_of_vectors_is_a_failure(raw: bytes) -> None:
    with pytest.raises(BadAnswer) as bad:
        decode_embedding(raw, expected=1)
    assert bad.value.failure.kind is FailureKind.INVALID


def test_a_whole_answer_has_one_choice() -> None:
    assert decode(whole()).choices == (Choice(parts=(), stop="stop"),)

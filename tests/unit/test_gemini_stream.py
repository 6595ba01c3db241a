"""Streams of Gemini as the middle's events."""

from typing import Any

import pytest

from adapters.dialect import FailureKind, Usage
from adapters.middle.conversation import OutputFormat
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
from adapters.sse import END, NEED_DATA
from tests.unit.gemini_wire import (
    UPSTREAM,
    body,
    call,
    conversation,
    event,
    read,
    response,
    said,
    text,
    tool,
)

BEGUN = Begun(id="resp-1")


def chunk(*parts: Any, finish: str | None = None, **fields: Any) -> Any:
    return response(said(*parts, finish=finish), **fields)


def usage(**counts: int) -> dict[str, Any]:
    return {"usageMetadata": counts}


def test_a_text_is_one_part_and_the_bodys_end_is_the_end() -> None:
    stream = body(
        chunk(text("Hel"), **usage(promptTokenCount=7)),
        chunk(text("lo")),
        chunk(text(""), finish="STOP", **usage(promptTokenCount=7, candidatesTokenCount=2)),
    )
    assert read([stream]) == [
        BEGUN,
        PartBegun(part=0, kind="text"),
        Grown(part=0, text="Hel"),
        UsageTold(Usage(input_tokens=7)),
        Grown(part=0, text="lo"),
        UsageTold(Usage(input_tokens=7, output_tokens=2)),
        PartEnded(part=0),
        Stopped(stop="stop"),
        Ended(),
    ]


def test_thoughts_text_and_signed_calls_are_parts_of_their_own() -> None:
    stream = body(
        chunk(text("hm", thought=True)),
        chunk(text("Ok.")),
        chunk(call("add", {"a": 1}, thoughtSignature="s"), call("add", {"a": 2})),
        chunk(call("sub")),
        chunk(text(""), finish="STOP"),
    )
    events = read([stream])
    begun = [found for found in events if isinstance(found, PartBegun)]
    assert [(found.part, found.kind, found.name) for found in begun] == [
        (0, "reasoning", None),
        (1, "text", None),
        (2, "call", "add"),
        (3, "call", "add"),
        (4, "call", "sub"),
    ]
    assert len({found.id for found in begun[2:]}) == 3
    assert [(g.part, g.text, g.signature) for g in events if isinstance(g, Grown)] == [
        (0, "hm", None),
        (1, "Ok.", None),
        (2, '{"a":1}', "gemini:s"),
        (3, '{"a":2}', None),
        (4, "{}", None),
    ]
    assert [found.part for found in events if isinstance(found, PartEnded)] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "stream",
    [
        body(chunk(call(), finish="STOP")),
        body(chunk(call(), finish="STOP"), chunk(text(""), finish="STOP")),
        body(chunk(call()), chunk(text(""), finish="STOP")),
        body(chunk(call()), chunk(finish="STOP")),
        body(chunk(call(), finish="STOP"), chunk(text("Called."), finish="STOP")),
    ],
)
def test_calls_end_as_tool_calls_whatever_follows_them(stream: bytes) -> None:
    stops = [found for found in read([stream]) if isinstance(found, Stopped)]
    assert stops == [Stopped(stop="tool_calls")]


def test_a_reason_on_every_chunk_ends_nothing_early() -> None:
    stream = body(chunk(text("a"), finish="STOP"), chunk(text("b"), finish="MAX_TOKENS"))
    events = read([stream])
    assert [found.text for found in events if isinstance(found, Grown)] == ["a", "b"]
    assert events[-2:] == [Stopped(stop="length"), Ended()]


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        body(chunk(text("Hel"))),
        body(chunk(text("Hel"), finish="FINISH_REASON_UNSPECIFIED")),
        body(
            response(said(text("a"), finish="STOP", index=0), said(text("b"), index=1)),
        ),
        body({"usageMetadata": {"promptTokenCount": 1}}),
    ],
)
def test_a_cut_stream_never_ends(stream: bytes) -> None:
    assert not {type(found) for found in read([stream])} & {Stopped, Ended}


def test_candidates_are_told_apart_by_their_index() -> None:
    stream = body(
        response(said(text("a"), index=0)),
        response(said(text("b"), index=1)),
        response(said(text("A"), finish="STOP", index=0)),
        response(said(call(id="x"), finish="STOP", index=1)),
    )
    events = read([stream])
    assert [(g.choice, g.part, g.text) for g in events if isinstance(g, Grown)] == [
        (0, 0, "a"),
        (1, 0, "b"),
        (0, 0, "A"),
        (1, 1, "{}"),
    ]
    stops = [found for found in events if isinstance(found, Stopped)]
    assert stops == [Stopped(choice=0, stop="stop"), Stopped(choice=1, stop="tool_calls")]


def test_the_latest_usage_holds_field_by_field() -> None:
    stream = body(
        chunk(text("a"), **usage(promptTokenCount=9, cachedContentTokenCount=4)),
        chunk(text("b"), **usage(promptTokenCount=9, thoughtsTokenCount=5)),
        chunk(finish="STOP", **usage(candidatesTokenCount=2, totalTokenCount=16)),
    )
    told = [found.usage for found in read([stream]) if isinstance(found, UsageTold)]
    assert told[-1] == Usage(input_tokens=9, output_tokens=7, cached_tokens=4, reasoning_tokens=5)


def test_the_form_of_the_answer_is_streamed_as_text() -> None:
    form = OutputFormat(kind="json_schema", schema=tool().parameters)
    asked = conversation(tools=(tool(),), format=form)
    events = read([body(chunk(call("give_answer", {"a": 1}), finish="STOP"))], asked)
    assert events[1:] == [
        PartBegun(part=0, kind="text"),
        Grown(part=0, text='{"a":1}'),
        PartEnded(part=0),
        Stopped(stop="stop"),
        Ended(),
    ]


@pytest.mark.parametrize(
    ("chunks", "kind"),
    [
        ([{"promptFeedback": {"blockReason": "SAFETY"}}], FailureKind.CONTENT_POLICY),
        ([{"error": {"code": 503, "status": "UNAVAILABLE"}}], FailureKind.OVERLOADED),
        ([[{"error": {"code": 429, "message": "slow"}}]], FailureKind.RATE_LIMITED),
        ([{"error": {"status": "PERMISSION_DENIED"}}], FailureKind.CREDENTIAL),
        ([chunk(finish="MALFORMED_FUNCTION_CALL")], FailureKind.INVALID),
        ([chunk(text("Hel")), {"error": {"code": 500}}], FailureKind.OVERLOADED),
        (
            [chunk(text("Hello"), finish="STOP"), {"error": {"code": 500}}],
            FailureKind.OVERLOADED,
        ),
    ],
)
def test_an_error_in_a_stream_is_told_and_nothing_ends(
    chunks: list[Any], kind: FailureKind
) -> None:
    events = read([body(*chunks)])
    assert [found.failure.kind for found in events if isinstance(found, Failed)] == [kind]
    assert not {type(found) for found in events} & {Stopped, Ended}


@pytest.mark.parametrize(
    "data", [b"{", b"no json", b"[1]", b'{"candidates":[{"content":3}]}', b'{"x":"\xff"}']
)
def test_an_event_that_cannot_be_read_is_malformed_and_the_next_one_counts(data: bytes) -> None:
    stream = b"data: " + data + b"\n\n" + body(chunk(text("a"), finish="STOP"))
    events = read([stream])
    assert events[0] == Malformed()
    assert events[-1] == Ended()


def test_a_chunk_without_news_is_a_sign_of_life() -> None:
    stream = b": ping\n\n" + event(chunk(text("a"))) + b"data: \n\n" + event({"responseId": "r"})
    assert [type(found) for found in read([stream], alive=True)][-2:] == [Alive, Alive]


def test_an_unknown_part_and_unknown_fields_are_passed_over() -> None:
    stream = body(
        chunk({"executableCode": {"code": "1"}}, text("a"), finish="STOP", modelVersion="m", new=1)
    )
    assert [found.text for found in read([stream]) if isinstance(found, Grown)] == ["a"]


def test_an_endless_event_is_one_failure_and_the_end() -> None:
    source = UPSTREAM.event_source(conversation())
    source.receive_data(b"data: " + b"x" * (17 * 1024 * 1024))
    found = source.next_event()
    assert isinstance(found, Failed)
    assert found.failure.kind is FailureKind.INVALID
    assert source.next_event() is END


def test_nothing_is_told_before_it_came() -> None:
    source = UPSTREAM.event_source(conversation())
    assert source.next_event() is NEED_DATA
    source.receive_data(event(chunk(text("a")))[:-2])
    assert source.next_event() is NEED_DATA

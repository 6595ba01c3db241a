"""Following a stream: its first token, its gaps, its stamps, and its end, however the bytes are cut."""

import itertools
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.loadtest.exchange import WrongAnswer
from router.loadtest.stream import (
    ErrorEvent,
    IncompleteStream,
    Pace,
    StreamReading,
    WholeReading,
)


class Clock:
    """Seconds that go by when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def delta(**fields: Any) -> bytes:
    chunk = {"id": "c", "choices": [{"index": 0, "delta": fields, "finish_reason": None}]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
ROLE = delta(role="assistant", content="")


def counting() -> Pace:
    pace = Pace()
    pace.counting = True
    return pace


@pytest.mark.parametrize(
    "first",
    [
        delta(content="a"),
        delta(reasoning_content="hm"),
        delta(tool_calls=[{"index": 0}]),
        delta(refusal="no"),
        b'data:{"choices":[{"text":"old"}]}\n\n',
        b'event: message\ndata: {"choices":[{"delta":{"content":"x"}}]}\n\n',
    ],
)
def test_the_first_token_is_the_first_event_with_output(first: bytes) -> None:
    clock = Clock()
    reading = StreamReading(Pace(), clock)
    reading.receive_data(b": a comment\n\n" + ROLE)
    before = reading.first_token
    assert before is None
    clock.now = 101.5
    reading.receive_data(first)
    clock.now = 102.0
    reading.receive_data(delta(content="b") + DONE)
    assert reading.first_token == 101.5
    assert reading.events == 4
    reading.finish()


@given(st.lists(st.integers(min_value=0, max_value=400), max_size=12), st.booleans())
def test_however_it_is_cut_the_same_events_are_counted(cuts: list[int], windows: bool) -> None:
    body = ROLE + delta(content="äöü") + b": keep-alive\n\n" + delta(content="b") + DONE
    if windows:
        body = body.replace(b"\n", b"\r\n")
    places = sorted({0, len(body), *(cut % len(body) for cut in cuts)})
    pace = Pace()
    reading = StreamReading(pace, Clock())
    for start, end in itertools.pairwise(places):
        reading.receive_data(body[start:end])
    reading.finish()
    assert (reading.events, pace.events) == (4, 4)


def test_gaps_lie_between_reads_and_events_that_come_together_have_none() -> None:
    clock, pace = Clock(), counting()
    reading = StreamReading(pace, clock)
    for seconds, count in ((0.0, 1), (0.5, 1), (0.25, 3)):
        clock.now += seconds
        reading.receive_data(delta(content="a") * count)
    assert pace.gaps.count == 4
    assert pace.gaps.total == pytest.approx(0.75)
    assert pace.gaps.greatest == pytest.approx(0.5)


def test_nothing_is_kept_outside_of_the_window() -> None:
    clock, pace = Clock(), Pace()
    reading = StreamReading(pace, clock)
    reading.receive_data(delta(content="a"))
    clock.now += 7.0
    pace.counting = True
    reading.receive_data(delta(content="a"))
    clock.now += 1.0
    reading.receive_data(delta(content="a"))
    assert (pace.events, pace.gaps.count) == (3, 1)
    assert pace.gaps.greatest == pytest.approx(1.0)


def test_a_stamp_tells_how_long_an_event_was_under_way() -> None:
    pace = Pace(stamped=True)
    pace.counting = True
    sent = int((time.monotonic() - 5.0) * 1e6)
    StreamReading(pace, Clock()).receive_data(delta(content=f"@{sent:016} ") + delta(content="no"))
    assert pace.transit.count == 1
    assert 5.0 <= pace.transit.greatest < 60.0


def test_a_stream_without_done_is_incomplete() -> None:
    reading = StreamReading(Pace(), Clock())
    reading.receive_data(delta(content="a"))
    with pytest.raises(IncompleteStream, match="after 1 events"):
        reading.finish()


def test_an_error_event_is_one_and_text_about_errors_is_not() -> None:
    reading = StreamReading(Pace(), Clock())
    reading.receive_data(delta(content="a") + delta(content='say "error"'))
    reading.receive_data(b'data: {"error": null, "choices": []}\n\n')
    with pytest.raises(ErrorEvent, match="overloaded"):
        reading.receive_data(b'data: {"error": {"message": "overloaded"}}\n\n')


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"choices": []}', b""])
def test_a_whole_answer_has_to_be_a_completion(body: bytes) -> None:
    reading = WholeReading()
    reading.receive_data(body)
    with pytest.raises(WrongAnswer):
        reading.finish()


def test_a_completion_in_pieces_is_one() -> None:
    reading = WholeReading()
    for piece in (b'{"choices": [{"mess', b'age": {"content": "x"}}]}'):
        reading.receive_data(piece)
    reading.finish()

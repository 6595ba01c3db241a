"""The public failover exam: sixteen ways in which a primary fails, with one fallback behind it.

Each goes through the official SDK, which retries nothing itself, and asks four things: is the client
served, by whom, how often was each provider asked for it, and did it take about as long as the fault
itself takes. From above a time is checked with a wide bound; from below exactly, because a Retry-After is
a floor.
"""

import time
from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest

from router.simulator import Behaviour, expected_tokens
from router.simulator.performance import EVENT_STREAM, Ending, Head, Performance
from tests.e2e.exam import (
    FIRST_BYTE_SECONDS,
    IDLE_SECONDS,
    MESSAGES,
    SLOW_FIRST_TOKEN_SECONDS,
    TOKENS,
    Hall,
    Room,
    Served,
)
from tests.e2e.process import wait_until

SLACK_SECONDS = 5.0
UNAVAILABLE = Behaviour(status=503)
CONTEXT = Behaviour(
    status=400,
    error={"message": "maximum context length is 8 tokens", "code": "context_length_exceeded"},
)
both_forms = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


def assert_by_primary(served: Served, room: Room, *, seconds: float = 0.0) -> None:
    _assert_whole(served, room, seconds)
    assert served.model == room.primary_model
    assert served.provider == room.primary_name


def assert_by_fallback(served: Served, room: Room, *, seconds: float = 0.0) -> None:
    _assert_whole(served, room, seconds)
    assert served.model == room.fallback_model
    assert served.provider == room.fallback_name


def _assert_whole(served: Served, room: Room, seconds: float) -> None:
    assert served.failure is None
    assert served.text == room.text
    assert served.finish_reason == "stop"
    assert served.usage is not None
    assert served.usage["completion_tokens"] == TOKENS
    assert served.seconds < seconds + SLACK_SECONDS


def gaps(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments)]


@both_forms
def test_01_a_429_is_waited_out_where_it_came_from(hall: Hall, room: Room, stream: bool) -> None:
    room.primary.plan(Behaviour(status=429, retry_after=2))
    served = hall.ask(room.name, stream=stream)
    assert_by_primary(served, room, seconds=2.0)
    assert room.asked == (2, 0)
    assert served.attempts == 2
    assert gaps(room.primary.arrivals)[0] >= 2.0


def test_02_a_429_for_ever_is_given_up_within_patience(hall: Hall, room: Room) -> None:
    room.primary.always = Behaviour(status=429, retry_after=1)
    assert_by_fallback(hall.ask(room.name), room, seconds=3.0)
    assert room.asked[1] == 1
    assert 2 <= room.asked[0] <= 4
    assert min(gaps(room.primary.arrivals)) >= 1.0


@pytest.mark.parametrize("retry_after", [None, 60.0])
@both_forms
def test_02_a_429_that_is_not_over_soon_is_not_waited_for(
    hall: Hall, room: Room, retry_after: float | None, stream: bool
) -> None:
    room.primary.always = Behaviour(status=429, retry_after=retry_after)
    for _ in range(3):
        assert_by_fallback(hall.ask(room.name, stream=stream), room)
    assert room.asked == (1, 3)


@both_forms
def test_03_a_single_500_is_retried_where_it_came_from(
    hall: Hall, room: Room, stream: bool
) -> None:
    room.primary.plan(Behaviour(status=500))
    served = hall.ask(room.name, stream=stream)
    assert_by_primary(served, room)
    assert room.asked == (2, 0)
    assert served.attempts == 2


@both_forms
def test_04_a_503_for_ever_moves_everybody_to_the_fallback(
    hall: Hall, room: Room, stream: bool
) -> None:
    room.primary.always = UNAVAILABLE
    served = hall.ask(room.name, stream=stream)
    assert_by_fallback(served, room)
    assert room.asked == (2, 1)
    assert served.attempts == 3
    for _ in range(9):
        assert_by_fallback(hall.ask(room.name, stream=stream), room)
    assert room.asked == (5, 10)  # the fifth failure ejects it


@both_forms
def test_05_a_reset_before_the_head_is_never_seen(hall: Hall, room: Room, stream: bool) -> None:
    room.primary.always = Behaviour(reset_before_head=True)
    served = hall.ask(room.name, stream=stream)
    assert_by_fallback(served, room)
    assert served.attempts == 3
    # A connection that served before may have been closed at any time, so each attempt whose
    # connection was such a one is sent a second time on a fresh one.
    assert 2 <= room.asked[0] <= 4
    assert room.asked[1] == 1


@both_forms
def test_06_silence_is_not_tried_again_on_the_same_route(
    hall: Hall, room: Room, stream: bool
) -> None:
    room.primary.always = Behaviour(silence=True)
    served = hall.ask(room.name + "-impatient", stream=stream)
    assert_by_fallback(served, room, seconds=FIRST_BYTE_SECONDS)
    assert served.seconds >= FIRST_BYTE_SECONDS
    assert room.asked == (1, 1)


@both_forms
def test_07_a_late_first_token_is_overtaken(hall: Hall, room: Room, stream: bool) -> None:
    left_before = hall.primaries.aborted
    room.primary.always = Behaviour(ttft=20.0)
    served = hall.ask(room.name, stream=stream)
    assert_by_fallback(served, room, seconds=SLOW_FIRST_TOKEN_SECONDS)
    assert served.headers["x-syze-hedged"] == "true"
    assert room.asked == (1, 1)
    wait_until("the loser is cancelled", lambda: hall.primaries.aborted > left_before)


@pytest.mark.parametrize("repeats", [False, True], ids=["goes on", "repeats and goes on"])
def test_08_a_cut_is_continued_without_a_seam(hall: Hall, rescue_room: Room, repeats: bool) -> None:
    room = rescue_room
    room.primary.plan(Behaviour(gap=0.002, cut_after=40))
    room.fallback.always = Behaviour(prefill="echo" if repeats else "continue")
    served = hall.ask(room.name, stream=True)
    assert_rescued(served, room, after=40)
    assert served.usage is not None
    assert served.usage["completion_tokens"] == TOKENS
    hall.leak_check()
    line = hall.gateway.process.log("request")[-1]
    assert (line["outcome"], line["provider"]) == ("ok", room.primary_name)
    assert line["rescuer"] == room.fallback_name


def test_09_a_stall_is_continued_without_a_seam(hall: Hall, rescue_room: Room) -> None:
    room = rescue_room
    room.primary.plan(Behaviour(gap=0.002, stall_after=20))
    assert_rescued(hall.ask(room.name, stream=True), room, after=20, seconds=IDLE_SECONDS)


def assert_rescued(served: Served, room: Room, *, after: int, seconds: float = 0.0) -> None:
    """The whole answer, of which the fallback was given what the client already had."""
    assert served.failure is None
    assert served.text == room.text
    assert served.finish_reason == "stop"
    assert served.seconds < seconds + SLACK_SECONDS
    assert room.asked == (1, 1)
    assert served.usage is not None
    assert (served.model, served.provider) == (room.primary_model, room.primary_name)
    sent = room.fallback.requests[0].json()["messages"]
    assert sent[: len(MESSAGES)] == MESSAGES
    assert sent[-1]["role"] == "assistant"
    assert sent[-1]["content"] == "".join(tokens_of(room)[:after])


def tokens_of(room: Room) -> list[str]:
    return expected_tokens({"model": room.upstream, "messages": MESSAGES}, tokens=TOKENS)


def test_10_a_malformed_tenth_event_is_skipped(hall: Hall, room: Room) -> None:
    room.primary.plan(Behaviour(gap=0.002, malformed_at=8))  # the role comes first
    assert_by_primary(hall.ask(room.name, stream=True), room)
    assert room.asked == (1, 0)


@pytest.mark.parametrize(
    "lacking",
    [
        Behaviour(omit_done=True),
        Behaviour(omit_done=True, usage_on_last_chunk=True),
        Behaviour(omit_done=True, keep_open_after_done=20.0),
    ],
    ids=["done", "done, usage comes early", "done and the body's end"],
)
def test_11_a_stream_that_lacks_its_end_is_finalised_at_once(
    hall: Hall, room: Room, lacking: Behaviour
) -> None:
    room.primary.plan(lacking)
    assert_by_primary(hall.ask(room.name, stream=True), room)
    assert room.asked == (1, 0)


@both_forms
def test_12_a_prompt_too_long_is_not_tried_again(hall: Hall, room: Room, stream: bool) -> None:
    room.primary.always = CONTEXT
    served = hall.ask(room.name, stream=stream)
    assert served.failure is not None
    assert (served.failure.kind, served.failure.code) == (
        "BadRequestError",
        "context_length_exceeded",
    )
    assert room.asked == (1, 0)


@both_forms
def test_12_a_prompt_too_long_goes_to_the_larger_model(
    hall: Hall, room: Room, stream: bool
) -> None:
    room.primary.always = CONTEXT
    assert_by_fallback(hall.ask(room.name + "-larger", stream=stream), room)
    assert room.asked == (1, 1)


@both_forms
def test_13_a_refused_prompt_is_not_sent_elsewhere(hall: Hall, room: Room, stream: bool) -> None:
    reason = "The prompt was filtered: it asks for a reef knot."
    room.primary.always = Behaviour(status=400, error={"message": reason, "code": "content_filter"})
    served = hall.ask(room.name, stream=stream)
    assert served.failure is not None
    assert (served.failure.kind, served.failure.code) == ("BadRequestError", "content_filter")
    assert "reef knot" in served.failure.message
    assert room.asked == (1, 0)


def test_13_an_answer_that_the_filter_ends_says_so(hall: Hall, room: Room) -> None:
    room.primary.says = filtered("The sea")
    served = hall.ask(room.name, stream=True)
    assert served.failure is None
    assert (served.text, served.finish_reason) == ("The sea", "content_filter")
    assert room.asked == (1, 0)


def filtered(text: str) -> Performance:
    """A stream that a content filter ends after this text."""

    def event(delta: dict[str, str], reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        return b"data: " + msgspec.json.encode({**chunk, "choices": [choice]}) + b"\n\n"

    body = event({"role": "assistant", "content": text}, None) + event({}, "content_filter")
    return Performance(
        0.0, Head(200, EVENT_STREAM), [(0.0, body + b"data: [DONE]\n\n", Ending.COMPLETE)]
    )


def test_14_a_refused_prefill_is_never_seen(hall: Hall, rescue_room: Room) -> None:
    room = rescue_room
    room.primary.plan(Behaviour(gap=0.002, cut_after=40))
    room.fallback.always = Behaviour(prefill="refuse")
    served = hall.ask(room.name, stream=True)
    assert served.seconds < SLACK_SECONDS
    assert served.text == "".join(tokens_of(room)[:40])
    assert room.asked == (1, 1)
    assert served.failure is not None
    assert served.failure.code == "upstream_stream_broken"
    assert "prefill" not in served.failure.message


def test_15_a_primary_that_was_down_is_returned_to(hall: Hall, room: Room) -> None:
    room.primary.always = UNAVAILABLE
    room.fallback.always = Behaviour(ttft=0.05)

    def probed() -> bool:
        return any(gap > 2.0 for gap in gaps(room.primary.arrivals))

    ask_until(probed, hall, room)
    assert room.asked[0] == 6  # five until it was ejected, and one probe

    room.primary.always = None
    came_back = time.monotonic()
    last = ask_until(lambda: room.asked[0] > 6, hall, room)
    assert time.monotonic() - came_back < 10.0 + SLACK_SECONDS
    assert_by_primary(last, room)
    for _ in range(5):
        assert_by_primary(hall.ask(room.name), room)


def ask_until(happened: Callable[[], bool], hall: Hall, room: Room) -> Served:
    """Keep asking; every call is served, by the fallback unless it is the last one."""
    deadline = time.monotonic() + 30.0
    served = hall.ask(room.name)
    while not happened():
        assert_by_fallback(served, room)
        assert time.monotonic() < deadline
        served = hall.ask(room.name)
    assert served.failure is None
    return served


@both_forms
def test_16_the_books_name_the_fallback(hall: Hall, room: Room, stream: bool) -> None:
    room.primary.always = UNAVAILABLE
    room.fallback.always = Behaviour(tokens=7)
    served = hall.ask(room.name, stream=stream)
    assert (served.failure, served.model) == (None, room.fallback_model)
    assert served.usage is not None
    assert served.usage["completion_tokens"] == 7
    hall.leak_check()
    line = hall.gateway.process.log("request")[-1]
    assert (line["outcome"], line["provider"]) == ("ok", room.fallback_name)
    assert line["attempts"] == 3
    assert line["output_tokens"] == 7
    assert line["input_tokens"] == served.usage["prompt_tokens"]

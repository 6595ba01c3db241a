"""The judge of answers: it passes the right one in any pieces, and each kind of wrong one fails."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.answers import StreamCheck, check_whole
from bench.work import Work
from router.loadtest.exchange import WrongAnswer

DONE = b"data: [DONE]\n\n"
PLAIN = Work(b"", "Oak “and” elm", tokens=3)
WITH_USAGE = Work(b"", "Oak “and” elm", tokens=3, wants_usage=True)


def event(*choices: dict[str, Any], **fields: Any) -> bytes:
    chunk = {"id": "one", "choices": list(choices), **fields}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def delta(content: str | None = None, **fields: Any) -> dict[str, Any]:
    said = {} if content is None else {"content": content}
    return {"index": 0, "delta": said, **fields}


ROLE = event({"index": 0, "delta": {"role": "assistant", "content": ""}})
TEXT = [event(delta("Oak")), event(delta(" “and”")), event(delta(" elm"))]
FINISH = event(delta(finish_reason="stop"))
USAGE = event(usage={"completion_tokens": 3})
GOOD = [ROLE, *TEXT, FINISH, DONE]
GOOD_WITH_USAGE = [ROLE, *TEXT, FINISH, USAGE, DONE]


def run(events: list[bytes], work: Work = PLAIN) -> StreamCheck:
    check = StreamCheck(work)
    for piece in events:
        check.receive_data(piece)
    check.finish()
    return check


@pytest.mark.parametrize(("events", "work"), [(GOOD, PLAIN), (GOOD_WITH_USAGE, WITH_USAGE)])
def test_the_right_stream_passes_and_its_events_are_counted(
    events: list[bytes], work: Work
) -> None:
    assert run(events, work).events == len(events)


@given(st.lists(st.integers(min_value=0, max_value=2000), max_size=12))
def test_the_right_stream_passes_however_it_is_cut(cuts: list[int]) -> None:
    whole = b"".join(GOOD_WITH_USAGE)
    edges = [0, *sorted(cut % len(whole) for cut in cuts), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(edges)]
    assert run(pieces, WITH_USAGE).events == len(GOOD_WITH_USAGE)


def test_comments_are_no_events() -> None:
    assert run([ROLE, b": keep-alive\n\n", *GOOD[1:]]).events == len(GOOD)


WRONG = {
    "a missing event": [ROLE, TEXT[0], TEXT[2], FINISH, DONE],
    "a doubled event": [ROLE, TEXT[0], *TEXT, FINISH, DONE],
    "events in another order": [ROLE, TEXT[1], TEXT[0], TEXT[2], FINISH, DONE],
    "text of somebody else": [ROLE, event(delta("Ash")), *TEXT[1:], FINISH, DONE],
    "more text than there is": [ROLE, *TEXT, event(delta("!")), FINISH, DONE],
    "less text than there is": [ROLE, *TEXT[:2], FINISH, DONE],
    "no role": [*TEXT, FINISH, DONE],
    "another answer's chunk": [ROLE, event(delta("Oak"), id="two"), *TEXT[1:], FINISH, DONE],
    "no finish reason": [ROLE, *TEXT, DONE],
    "two finish reasons": [ROLE, *TEXT, FINISH, FINISH, DONE],
    "text after the finish reason": [ROLE, *TEXT[:2], FINISH, TEXT[2], DONE],
    "no [DONE]": [ROLE, *TEXT, FINISH],
    "an event after [DONE]": [*GOOD, FINISH],
    "two [DONE]": [*GOOD, DONE],
    "an unfinished event": [*GOOD, b"data: x"],
    "broken JSON": [ROLE, b'data: {"id":\n\n', *TEXT, FINISH, DONE],
    "a chunk of another shape": [ROLE, b'data: {"id":"one"}\n\n', *TEXT, FINISH, DONE],
    "an error event": [ROLE, TEXT[0], b'data: {"error":{"message":"no"}}\n\n'],
    "a chunk without choices": [ROLE, event(), *TEXT, FINISH, DONE],
    "two choices": [ROLE, event(delta(), delta()), *TEXT, FINISH, DONE],
    "another field of the format": [b"event: chunk\n" + ROLE, *TEXT, FINISH, DONE],
    "usage nobody asked for": GOOD_WITH_USAGE,
}


@pytest.mark.parametrize("events", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_stream_fails(events: list[bytes]) -> None:
    with pytest.raises(WrongAnswer, match=r"event \d+: "):
        run(events)


WRONG_USAGE = {
    "missing": GOOD,
    "twice": [ROLE, *TEXT, FINISH, USAGE, USAGE, DONE],
    "with choices": [ROLE, *TEXT, event(delta(), usage={"completion_tokens": 3}), FINISH, DONE],
    "before the text": [ROLE, USAGE, *TEXT, FINISH, DONE],
    "of other tokens": [ROLE, *TEXT, FINISH, event(usage={"completion_tokens": 4}), DONE],
}


@pytest.mark.parametrize("events", WRONG_USAGE.values(), ids=WRONG_USAGE.keys())
def test_wrong_usage_fails_where_it_was_asked_for(events: list[bytes]) -> None:
    with pytest.raises(WrongAnswer):
        run(events, WITH_USAGE)


def whole(content: str, *, tokens: int = 3) -> bytes:
    answer = {
        "choices": [{"message": {"role": "assistant", "content": content}}],
        "usage": {"completion_tokens": tokens},
    }
    return json.dumps(answer).encode()


def test_the_right_whole_answer_passes() -> None:
    check_whole(whole(PLAIN.text), PLAIN)


@pytest.mark.parametrize(
    "body",
    [whole("Oak"), whole(PLAIN.text, tokens=2), b"", b'{"error":{}}', whole(PLAIN.text)[:-1]],
)
def test_a_wrong_whole_answer_fails(body: bytes) -> None:
    with pytest.raises(WrongAnswer):
        check_whole(body, PLAIN)

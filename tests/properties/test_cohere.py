"""What holds for every answer in Cohere's dialect."""

import json
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from adapters.middle.assembly import assembled
from adapters.middle.event import Ended, Grown, PartBegun, PartEnded, Stopped
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
from tests.unit.gemini_wire import conversation

WORDS = st.text(st.sampled_from('ab \n"{}ü🙂'), min_size=1, max_size=6)
PIECES = st.lists(WORDS, min_size=1, max_size=3)
REASONS = st.sampled_from(["COMPLETE", "MAX_TOKENS", "TOOL_CALL"])
ARGUMENTS = st.sampled_from(["", "{}", '{"a":1}', '{"a":{"b":"c"}}'])


class Told(msgspec.Struct):
    """One answer both ways: the events of its stream, and the whole of it."""

    events: list[dict[str, Any]]
    whole: dict[str, Any]


@st.composite
def answers(draw: st.DrawFn) -> Told:
    events: list[dict[str, Any]] = [START]
    message: dict[str, Any] = {}
    if draw(st.booleans()):
        pieces = draw(PIECES)
        events += [plan(piece) for piece in pieces]
        message["tool_plan"] = "".join(pieces)
    elif draw(st.booleans()):
        thoughts = draw(PIECES)
        events += [block("thinking"), *(thought(piece) for piece in thoughts), END_OF_CONTENT]
        message["content"] = [{"type": "thinking", "thinking": "".join(thoughts)}]
    if draw(st.booleans()):
        pieces = draw(PIECES)
        events += [block("text"), *(text(piece) for piece in pieces), END_OF_CONTENT]
        message.setdefault("content", []).append({"type": "text", "text": "".join(pieces)})
    calls = draw(st.lists(ARGUMENTS, max_size=3))
    for place, arguments in enumerate(calls):
        cut = draw(st.integers(0, len(arguments)))
        events += call(f"c{place}", "add", arguments[:cut], arguments[cut:])
        function = {"name": "add", "arguments": arguments}
        told = {"id": f"c{place}", "type": "function", "function": function}
        message.setdefault("tool_calls", []).append(told)
    reason, count = draw(REASONS), draw(st.integers(0, 99))
    usage = {"tokens": {"input_tokens": count, "output_tokens": count}}
    whole = {"id": "resp-1", "finish_reason": reason, "message": message, "usage": usage}
    return Told([*events, end(reason, usage=usage)], whole)


@given(answers(), st.data())
def test_a_stream_is_the_same_however_its_bytes_are_cut(told: Told, data: st.DataObject) -> None:
    stream = body(*told.events)
    found = read([stream])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=5)))
    places = [0, *cuts, len(stream)]
    assert read([stream[start:last] for start, last in pairwise(places)]) == found
    assert read([stream[place : place + 1] for place in range(len(stream))]) == found


@given(answers())
def test_a_stream_and_a_whole_answer_are_the_same_message(told: Told) -> None:
    events = read([body(*told.events)])
    assert isinstance(events[-1], Ended)
    assert assembled(events) == UPSTREAM.decode(conversation(), json.dumps(told.whole).encode())


@given(answers())
def test_parts_are_numbered_without_gaps_and_never_overlap(told: Told) -> None:
    open_part: int | None = None
    begun = 0
    for event in read([body(*told.events)]):
        match event:
            case PartBegun():
                assert open_part is None
                assert event.part == begun
                open_part, begun = event.part, begun + 1
            case Grown():
                assert event.part == open_part
            case PartEnded():
                assert event.part == open_part
                open_part = None
            case Stopped():
                assert open_part is None


@given(answers())
def test_a_stream_that_is_cut_between_events_never_ends(told: Told) -> None:
    for last in range(len(told.events)):
        events = read([body(*told.events[:last])])
        assert not any(isinstance(event, Stopped | Ended) for event in events)

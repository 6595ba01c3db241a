"""The rest of an answer, joined on to its beginning: what is left out of it, and what comes behind."""

from collections.abc import Iterable
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.dialect import Beginning, Usage
from adapters.middle.beginning import MAX_TEXT_BYTES, TextKeeper
from adapters.middle.event import (
    Begun,
    Ended,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.middle.rest import Rest, prefill_of
from adapters.middle.whole_usage import whole_usage
from adapters.sse import END, NEED_DATA, Signal

STOP = Stopped(stop="stop")


def begun(text: str = "Once upon", *, usage: Usage | None = None) -> Beginning:
    return Beginning(
        text=msgspec.Raw(msgspec.json.encode(text)), output_tokens=2, usage=usage, members={}
    )


class Told:
    """A source that tells these events."""

    def __init__(self, events: Iterable[MiddleEvent]) -> None:
        self._events = list(events)

    def receive_data(self, data: bytes) -> None:
        assert data == b"all of it"

    def next_event(self) -> MiddleEvent | Signal:
        return self._events.pop(0) if self._events else END


def rest_of(
    *events: MiddleEvent, beginning: Beginning | None = None, echoes: bool = False
) -> list[MiddleEvent]:
    rest = Rest(Told(events), beginning or begun(), echoes=echoes)
    rest.receive_data(b"all of it")
    found = []
    while not isinstance(event := rest.next_event(), Signal):
        found.append(event)
    assert event is END
    return found


def saying(part: int, *pieces: str) -> list[MiddleEvent]:
    grown = (Grown(part=part, text=piece) for piece in pieces)
    return [PartBegun(part=part, kind="text"), *grown, PartEnded(part=part)]


def test_the_first_text_goes_on_with_the_open_one() -> None:
    assert rest_of(Begun(id="other"), *saying(0, " a", " time"), STOP, Ended()) == [
        Grown(part=0, text=" a"),
        Grown(part=0, text=" time"),
        PartEnded(part=0),
        STOP,
        Ended(),
    ]


def test_other_parts_come_behind_under_the_next_numbers() -> None:
    call: list[MiddleEvent] = [
        PartBegun(part=1, kind="call", id="c", name="look"),
        Grown(part=1, text="{}"),
        PartEnded(part=1),
    ]
    found = rest_of(*saying(0, "a"), *call, *saying(2, "b"), STOP)
    assert found == [
        Grown(part=0, text="a"),
        PartEnded(part=0),
        PartBegun(part=2, kind="call", id="c", name="look"),
        Grown(part=2, text="{}"),
        PartEnded(part=2),
        *saying(3, "b"),
        STOP,
    ]


def test_a_call_without_a_word_before_it_ends_the_open_text() -> None:
    call = PartBegun(part=0, kind="call", id="c", name="look")
    assert rest_of(call, PartEnded(part=0), STOP) == [
        PartEnded(part=0),
        PartBegun(part=1, kind="call", id="c", name="look"),
        PartEnded(part=1),
        STOP,
    ]


def test_a_text_behind_a_call_is_a_text_of_its_own() -> None:
    call = PartBegun(part=0, kind="call", id="c", name="look")
    found = rest_of(call, PartEnded(part=0), *saying(1, "b"), STOP)
    assert found[-4:] == [*saying(2, "b"), STOP]


@pytest.mark.parametrize("kind", ["reasoning", "redacted"])
def test_what_is_thought_before_going_on_is_left_out(kind: str) -> None:
    thought: list[MiddleEvent] = [
        PartBegun(part=0, kind=kind),  # type: ignore[arg-type]
        Grown(part=0, text="Hm."),
        Grown(part=0, signature="s"),
        PartEnded(part=0),
    ]
    assert rest_of(*thought, *saying(1, "a"), STOP) == [
        Grown(part=0, text="a"),
        PartEnded(part=0),
        STOP,
    ]


def test_an_end_at_once_ends_the_open_text() -> None:
    assert rest_of(Begun(), STOP) == [PartEnded(part=0), STOP]


def test_a_rest_that_breaks_ends_nothing() -> None:
    assert rest_of(PartBegun(part=0, kind="text"), Grown(part=0, text="a")) == [
        Grown(part=0, text="a")
    ]


def test_waiting_for_data_is_passed_on() -> None:
    class Waiting(Told):
        def next_event(self) -> MiddleEvent | Signal:
            return NEED_DATA

    assert Rest(Waiting([]), begun(), echoes=False).next_event() is NEED_DATA


@given(
    text=st.text("ab \n", min_size=1, max_size=12),
    rest=st.text("ab \n", max_size=12),
    cuts=st.lists(st.integers(0, 24)),
    echoes=st.booleans(),
)
def test_the_seam_is_exact_whatever_the_pieces(
    text: str, rest: str, cuts: list[int], *, echoes: bool
) -> None:
    """A model goes on after the last word; the space that the client has is not said twice."""
    beginning = begun(text)
    prefill = prefill_of(beginning)
    assert not prefill.endswith((" ", "\n"))
    said = prefill + rest if echoes else rest
    places = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    pieces = [said[a:b] for a, b in pairwise(places)]
    found = rest_of(*saying(0, *pieces), STOP, beginning=beginning, echoes=echoes)
    told = "".join(event.text for event in found if isinstance(event, Grown))
    space = text[len(prefill) :]
    common = 0
    while common < min(len(space), len(rest)) and space[common] == rest[common]:
        common += 1
    assert told == rest[common:]


def test_usage_is_that_of_the_whole_answer_and_an_echo_counts_once() -> None:
    rest = UsageTold(Usage(input_tokens=12, output_tokens=5, cached_tokens=11))
    [told, *_] = rest_of(rest, STOP)
    assert told == UsageTold(
        Usage(input_tokens=10, output_tokens=7, cached_tokens=10, estimated=True)
    )
    echo = saying(0, "Once upon", " a")
    *_, told = rest_of(*echo, rest, echoes=True)
    assert isinstance(told, UsageTold)
    assert told.usage.output_tokens == 5


def test_what_the_first_has_told_of_the_prompt_holds() -> None:
    first = Usage(input_tokens=9, output_tokens=2, cached_tokens=4, cache_write_tokens=3)
    rest = Usage(input_tokens=12, output_tokens=5, cached_tokens=8, reasoning_tokens=1)
    assert whole_usage(begun(usage=first), rest, echoed=False) == Usage(
        input_tokens=9,
        output_tokens=7,
        cached_tokens=4,
        cache_write_tokens=3,
        reasoning_tokens=1,
    )
    counted = msgspec.structs.replace(first, output_tokens=1)
    assert whole_usage(begun(usage=counted), rest, echoed=False).estimated


# --- keeping ------------------------------------------------------------------------------------------

OPEN = (PartBegun(part=0, kind="text"), Grown(part=0, text='a"'), Grown(part=0, text="ü"))


def kept(*events: MiddleEvent, usage: Usage | None = None) -> Beginning | None:
    keeper = TextKeeper()
    for event in events:
        keeper.note(event)
    return keeper.beginning(usage, {"id": msgspec.Raw(b"1")})


def test_one_open_text_is_kept_with_what_it_took() -> None:
    found = kept(Begun(), *OPEN, usage=Usage(output_tokens=1))
    assert found is not None
    assert msgspec.json.decode(found.text) == 'a"ü'
    assert found.output_tokens == 2
    assert found.members == {"id": msgspec.Raw(b"1")}
    more = kept(*OPEN, usage=Usage(output_tokens=30))
    assert more is not None
    assert more.output_tokens == 30


@pytest.mark.parametrize(
    "events",
    [
        (),
        (Begun(), PartBegun(part=0, kind="text")),
        (*OPEN, PartEnded(part=0)),
        (*OPEN, STOP),
        (*OPEN, PartBegun(part=1, kind="call")),
        (*OPEN, PartBegun(part=1, kind="text")),
        (PartBegun(part=0, kind="reasoning"), PartEnded(part=0), *OPEN),
        (PartBegun(part=0, kind="refusal"), Grown(part=0, text="no")),
        (PartBegun(choice=1, part=0, kind="text"), Grown(choice=1, part=0, text="no")),
        (*OPEN, Grown(part=0, text="x" * MAX_TEXT_BYTES)),
    ],
)
def test_nothing_else_is_kept(events: tuple[MiddleEvent, ...]) -> None:
    assert kept(*events) is None

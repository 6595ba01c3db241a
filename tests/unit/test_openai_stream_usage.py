"""Usage in streams: read wherever it stands, and sent to the client by the book or not at all."""

import json

import pytest

from adapters.dialect import EventKind, Usage
from tests.openai_wire import (
    COUNTED,
    DONE,
    ROLE,
    SERVED,
    STREAM,
    USAGE,
    chunk,
    client_data,
    client_events,
    decode,
    delta,
    event,
    frames,
    kinds,
    read_one,
    renamed,
    streaming,
    text,
)

USAGE_OWN_CHUNK = [event(chunk(rest=f",{USAGE}"))]
USAGE_CARELESS = [event('{"object":"chat.completion.chunk",' + USAGE + "}")]
USAGE_UNNAMED = [event("{" + USAGE + "}")]
USAGE_NULL_CHOICES = [event('{"choices":null,' + USAGE + "}")]
USAGE_ON_A_CHOICE = [event(chunk(delta(""), rest=f",{USAGE}"))]
USAGE_TWICE = USAGE_ON_A_CHOICE + USAGE_OWN_CHUNK
USAGE_GROWING = [
    event(chunk(text("."), rest=',"usage":{"prompt_tokens":7,"completion_tokens":1}')),
    *USAGE_ON_A_CHOICE,
]
USAGE_THEN_NULL = [*USAGE_OWN_CHUNK, event(chunk(delta(""), rest=',"usage":null'))]
USAGE_THEN_EMPTY = [*USAGE_OWN_CHUNK, event(chunk(delta(""), rest=',"usage":{}'))]
USAGE_SPACED = [event(chunk(delta(""), rest=", " + USAGE.replace(":", ": ")))]

USAGES = {
    "in a chunk of its own": USAGE_OWN_CHUNK,
    "in a chunk without the key choices": USAGE_CARELESS,
    "in an object without a name": USAGE_UNNAMED,
    "beside null choices": USAGE_NULL_CHOICES,
    "on the last chunk with a choice": USAGE_ON_A_CHOICE,
    "on a choice and alone": USAGE_TWICE,
    "growing on every chunk": USAGE_GROWING,
    "taken back by a null": USAGE_THEN_NULL,
    "taken back by an empty object": USAGE_THEN_EMPTY,
    "with spaces": USAGE_SPACED,
}


@pytest.mark.parametrize("tail", USAGES.values(), ids=USAGES.keys())
def test_usage_is_read_wherever_it_stands_and_kept_from_who_did_not_ask(tail: list[bytes]) -> None:
    events, decoder = decode([*STREAM[:4], *tail, DONE])
    assert decoder.usage == COUNTED
    sent = client_events(frames(events))
    assert sent[-1].data == b"[DONE]"
    for found in sent[:-1]:
        data = json.loads(found.data)
        assert data["choices"]
        assert "usage" not in data


@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("tail", USAGES.values(), ids=USAGES.keys())
def test_usage_comes_once_last_and_without_choices_to_who_asked(
    tail: list[bytes], done: bool
) -> None:
    asked = streaming(include_usage=True)
    events, decoder = decode([*STREAM[:4], *tail, *([DONE] if done else [])], asked)
    written = frames(events) if done else frames(events) + decoder.closing_frames()
    *before, last, end = client_events(written)
    assert end.data == b"[DONE]"
    told = json.loads(last.data)
    assert told["choices"] == []
    assert (told["usage"]["prompt_tokens"], told["usage"]["completion_tokens"]) == (7, 2)
    assert told.get("model", SERVED) == SERVED
    for found in before:
        data = json.loads(found.data)
        assert data["choices"]
        assert data.get("usage") is None
    assert decoder.usage == COUNTED


def test_a_usage_chunk_by_the_book_keeps_its_bytes() -> None:
    events, _ = decode(STREAM, streaming(include_usage=True))
    assert events[-1].frame == renamed(STREAM[4].decode()).encode() + DONE


def test_the_running_nulls_stay_for_who_asked_for_usage() -> None:
    data = chunk(text("x"), rest=',"usage":null')
    found = read_one(chunk(ROLE, rest=',"usage":null'), streaming(include_usage=True))
    assert found.frame == event(renamed(chunk(ROLE, rest=',"usage":null')))
    events, _ = decode([STREAM[0], event(data)], streaming(include_usage=True))
    assert events[1].frame == event(renamed(data))


@pytest.mark.parametrize(
    "rest",
    [',"usage":null', ', "usage": null', ',"usage" : null', ',"usage":null,"x":{"usage":null}'],
)
def test_a_null_usage_is_taken_out_for_who_did_not_ask(rest: str) -> None:
    found = read_one(chunk(ROLE, rest=rest))
    data = client_data(found.frame)
    assert "usage" not in data
    assert ("x" not in data) or data["x"] == {"usage": None}


def test_no_usage_is_made_up() -> None:
    events, decoder = decode([*STREAM[:4], DONE], streaming(include_usage=True))
    assert decoder.usage is None
    assert events[-1].frame == DONE


def test_closing_frames_tell_the_usage_once() -> None:
    _, decoder = decode(STREAM[:5], streaming(include_usage=True))
    assert b'"usage"' in decoder.closing_frames()
    assert decoder.closing_frames() == DONE


DETAILED = """{"prompt_tokens":9,"completion_tokens":5,"cost":0.1,
"prompt_tokens_details":{"cached_tokens":4},
"completion_tokens_details":{"reasoning_tokens":3,"new":1}}"""
UNTOLD_DETAILS = """{"prompt_tokens":9,"completion_tokens":5,
"prompt_tokens_details":null,
"completion_tokens_details":{"reasoning_tokens":null}}"""


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        (
            DETAILED.replace("\n", ""),
            Usage(input_tokens=9, output_tokens=5, cached_tokens=4, reasoning_tokens=3),
        ),
        (UNTOLD_DETAILS.replace("\n", ""), Usage(input_tokens=9, output_tokens=5)),
        ('{"prompt_tokens":9,"completion_tokens":null}', Usage(input_tokens=9)),
        ('{"prompt_tokens":0,"completion_tokens":0}', Usage()),
        ('{"prompt_tokens":-9,"completion_tokens":5}', None),
        ('{"prompt_tokens":"9","completion_tokens":5}', None),
        ('{"input":9}', None),
        ("[1]", None),
        ("true", None),
    ],
)
def test_usage_is_counted_in_known_forms_and_costs_no_chunk_in_others(
    usage: str, counted: Usage | None
) -> None:
    events, decoder = decode([event(chunk(text("x"), rest=f',"usage":{usage}'))])
    assert kinds(events) == [EventKind.OUTPUT]
    assert "usage" not in client_data(events[0].frame)
    assert decoder.usage == counted

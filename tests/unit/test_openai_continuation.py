"""The request for the rest of an answer, and the rest as the client sees it."""

import json
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.continuing import can_be_continued, continue_call
from adapters.dialect import Beginning, Call, EventKind, Target, Usage
from adapters.middle.echo import LEAST_SURPRISE, Echo
from adapters.openai.request import decode_call, encode_request
from tests.openai_wire import (
    DONE,
    ROLE,
    STOP,
    TARGET,
    USAGE,
    call,
    chunk,
    decode,
    delta,
    event,
    frames,
    kinds,
    streaming,
    target,
    text,
)


def begun(said: str = "Once upon", *, tokens: int = 2, usage: Usage | None = None) -> Beginning:
    members = {"id": b'"chatcmpl-0"', "created": b"9", "model": b'"first/model"'}
    return Beginning(
        text=msgspec.Raw(msgspec.json.encode(said)),
        output_tokens=tokens,
        usage=usage,
        members={name: msgspec.Raw(raw) for name, raw in members.items()},
    )


def rest_of(asked: Call, beginning: Beginning | None = None) -> Call:
    rest = continue_call(asked, beginning or begun())
    assert rest is not None
    return rest


def sent(rest: Call, told: Target = TARGET) -> dict[str, Any]:
    body = encode_request(rest, told).body
    decoded = json.loads(body)
    assert isinstance(decoded, dict)
    return decoded


# --- the request ----------------------------------------------------------------------------------


def test_the_text_so_far_becomes_the_last_message_and_all_else_keeps_its_bytes() -> None:
    odd = '{"role": "user",  "content": "\\u0048i", "x": 1.50, "x": 2}'
    fields = '"stream":true,"temperature": 1e0,"x":{"a" : 1.0}'
    body = '{"model":"m","messages":[' + odd + "]," + fields + "}"
    rest = rest_of(decode_call("chat", body.encode()))
    written = encode_request(rest, TARGET).body
    last = b'{"role":"assistant","content":"Once upon"}'
    assert b'"messages":[' + odd.encode() + b"," + last + b"]" in written
    assert b'"temperature":1e0' in written
    assert b'"x":{"a" : 1.0}' in written


def test_the_message_is_marked_only_for_those_who_want_that() -> None:
    rest = rest_of(streaming())
    plain = {"role": "assistant", "content": "Once upon"}
    assert sent(rest)["messages"][-1] == plain
    marked = sent(rest, target(marks_prefill=True))["messages"][-1]
    assert marked == {**plain, "prefix": True}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_is_less_by_what_was_produced(name: str) -> None:
    def limited(limit: int | None) -> Call:
        fields: dict[str, Any] = {name: limit}
        return streaming(**fields)

    assert sent(rest_of(limited(10), begun(tokens=3)))[name] == 7
    assert sent(rest_of(limited(4), begun(tokens=3)))[name] == 1
    assert continue_call(limited(3), begun(tokens=3)) is None
    assert name not in sent(rest_of(streaming()))
    assert sent(rest_of(limited(None)))[name] is None


def test_a_conversation_that_ends_with_the_assistant_is_left_alone() -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert continue_call(streaming(messages=messages), begun()) is None
    assert continue_call(streaming(messages=[*messages, messages[0]]), begun()) is not None
    assert continue_call(streaming(messages=[{"role": 7}]), begun()) is None


def test_a_continued_answer_is_not_continued_again() -> None:
    assert can_be_continued(streaming())
    rest = rest_of(msgspec.structs.replace(streaming(), keeps_beginning=True))
    assert not rest.keeps_beginning
    assert not can_be_continued(rest)


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 2},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"response_format": {"type": 7}},
        {"response_format": "text"},
    ],
    ids=str,
)
def test_what_needs_more_than_text_cannot_be_continued(fields: dict[str, Any]) -> None:
    assert not can_be_continued(streaming(**fields))


def test_neither_can_what_is_no_chat_or_no_stream() -> None:
    assert not can_be_continued(call())
    assert not can_be_continued(streaming("completions"))


# --- the rest -------------------------------------------------------------------------------------

REST = (
    event(chunk(ROLE)),
    event(chunk(text(" a"))),
    event(chunk(text(" time"))),
    event(chunk(STOP)),
    event(chunk(rest=f",{USAGE}")),
    DONE,
)


def read_rest(
    *pieces: bytes, beginning: Beginning | None = None, usage: bool = False, told: Target = TARGET
) -> list[Any]:
    """The chunks that a client gets of a rescuer's stream."""
    rest = rest_of(streaming(include_usage=usage), beginning)
    events, _ = decode(pieces, rest, told)
    whole = frames(events).removesuffix(DONE)
    return [json.loads(block[6:]) for block in whole.decode().split("\n\n") if block]


def deltas(chunks: list[Any]) -> list[Any]:
    return [one["choices"][0]["delta"] for one in chunks]


def test_the_client_gets_what_is_new_under_the_name_and_id_that_it_knows() -> None:
    found = read_rest(*REST)
    assert deltas(found) == [{"content": " a"}, {"content": " time"}, {}]
    assert {(one["id"], one["created"], one["model"]) for one in found} == {
        ("chatcmpl-0", 9, "first/model")
    }
    assert [one["choices"][0]["finish_reason"] for one in found] == [None, None, "stop"]


def test_a_role_beside_text_goes_and_the_text_stays() -> None:
    both = delta('"role":"assistant","content":" a","x":[1]')
    assert (
        deltas(read_rest(event(chunk(both)), event(chunk(both))))
        == [{"content": " a", "x": [1]}] * 2
    )


def test_what_is_not_understood_passes() -> None:
    filtered = chunk('{"index":0,"delta":{},"content_filter_results":{"a":1}}')
    (found,) = read_rest(event(filtered))
    assert found["choices"][0]["content_filter_results"] == {"a": 1}
    assert deltas(read_rest(event(chunk(delta('"tool_calls":[{"index":0}]'))))) == [
        {"tool_calls": [{"index": 0}]}
    ]


def test_a_chunk_that_says_nothing_new_commits_nothing() -> None:
    events, _ = decode(REST, rest_of(streaming()))
    assert kinds(events)[:2] == [EventKind.START, EventKind.OUTPUT]
    assert events[0].frame == b""


@pytest.mark.parametrize(
    ("before", "counts"),
    [
        (None, (5, 4)),  # two of the seven tokens read had been produced before
        (Usage(input_tokens=6, output_tokens=2), (6, 4)),
        (Usage(output_tokens=2), (5, 4)),
    ],
)
def test_usage_is_that_of_the_whole_answer(before: Usage | None, counts: tuple[int, int]) -> None:
    beginning = begun(usage=before)
    _, decoder = decode(REST, rest_of(streaming(), beginning))
    assert decoder.usage is not None
    assert (decoder.usage.input_tokens, decoder.usage.output_tokens) == counts
    assert decoder.usage.estimated == (before is None or not before.input_tokens)
    told = read_rest(*REST, beginning=beginning, usage=True)[-1]
    assert told["choices"] == []
    assert told["id"] == "chatcmpl-0"
    assert told["usage"] == {
        "prompt_tokens": counts[0],
        "completion_tokens": counts[1],
        "total_tokens": sum(counts),
    }


def test_details_of_usage_stay_and_never_exceed_the_whole() -> None:
    usage = (
        '"usage":{"prompt_tokens":7,"completion_tokens":2,"x":1,'
        '"prompt_tokens_details":{"cached_tokens":7}}'
    )
    pieces = (*REST[:4], event(chunk(rest=f",{usage}")), DONE)
    _, decoder = decode(pieces, rest_of(streaming()))
    assert decoder.usage == Usage(input_tokens=5, output_tokens=4, cached_tokens=5, estimated=True)
    assert read_rest(*pieces, usage=True)[-1]["usage"]["x"] == 1


def test_without_usage_from_the_rescuer_none_is_told() -> None:
    told = Usage(input_tokens=6, output_tokens=2)
    pieces = (*REST[:4], DONE)
    assert decode(pieces, rest_of(streaming(), begun(usage=told)))[1].usage is None
    assert decode(pieces, rest_of(streaming()))[1].usage is None


# --- the echo -------------------------------------------------------------------------------------


def test_a_provider_known_to_repeat_the_beginning_says_it_once() -> None:
    repeated = [event(chunk(text(piece))) for piece in ("On", "ce upon a", " time")]
    found = read_rest(REST[0], *repeated, *REST[3:], told=target(echoes_prefill=True))
    assert deltas(found) == [{"content": " a"}, {"content": " time"}, {}]


def test_what_was_repeated_is_counted_once() -> None:
    repeated = [event(chunk(text(piece))) for piece in ("On", "ce upon")]
    rest = rest_of(streaming(), begun(tokens=2))
    _, echoing = decode((REST[0], *repeated, *REST[2:]), rest, target(echoes_prefill=True))
    _, plain = decode(REST, rest)
    assert echoing.usage is not None
    assert plain.usage is not None
    assert echoing.usage.output_tokens == plain.usage.output_tokens - 2


def test_what_only_begins_like_an_echo_is_not_lost() -> None:
    told = target(echoes_prefill=True)
    pieces = [event(chunk(text(piece))) for piece in ("On", "ce more")]
    assert deltas(read_rest(*pieces, *REST[3:], told=told)) == [{"content": "Once more"}, {}]
    ended = read_rest(pieces[0], event(chunk(STOP)), told=told)
    assert deltas(ended) == [{"content": "On"}]
    assert ended[0]["choices"][0]["finish_reason"] == "stop"


@given(
    beginning=st.text("ab", min_size=1, max_size=8),
    rest=st.text("ab", max_size=12),
    cuts=st.lists(st.integers(0, 20)),
    echoes=st.booleans(),
)
def test_an_expected_echo_is_dropped_and_nothing_else(
    beginning: str, rest: str, cuts: list[int], *, echoes: bool
) -> None:
    said = beginning + rest if echoes else rest
    places = sorted({0, len(said), *(cut for cut in cuts if cut < len(said))})
    pieces = [said[a:b] for a, b in pairwise(places)]
    echo = Echo(beginning, expected=True)
    heard = "".join([echo.without(piece) for piece in pieces]) + echo.release()
    assert heard == said.removeprefix(beginning)


def test_only_a_long_beginning_is_taken_for_an_echo_unexpectedly() -> None:
    long, short = "x" * LEAST_SURPRISE, "x" * (LEAST_SURPRISE - 1)
    assert Echo(long, expected=False).without(long + "y") == "y"
    assert Echo(short, expected=False).without(short + "y") == short + "y"

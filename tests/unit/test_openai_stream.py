"""Streams in OpenAI's dialect: what each event means, and what the client gets, by the book."""

import json
from typing import Any

import pytest

from adapters.dialect import EventKind, FailureKind, StreamEvent
from adapters.openai.stream import ChunkDecoder
from adapters.sse import DEFAULT_MAX_EVENT_BYTES, END, NEED_DATA, Signal
from tests.openai_wire import (
    COUNTED,
    DONE,
    ROLE,
    SERVED,
    STOP,
    STREAM,
    TARGET,
    USAGE,
    chunk,
    client_data,
    client_events,
    decode,
    delta,
    drain,
    event,
    frames,
    kinds,
    read_one,
    renamed,
    streaming,
    target,
    text,
)

DEEP = "[" * 100_000 + "]" * 100_000


def choices_of(frame: bytes) -> list[dict[str, Any]]:
    found = client_data(frame)["choices"]
    assert isinstance(found, list)
    return found


# --- what an ordinary stream becomes --------------------------------------------------------------


def test_an_ordinary_stream_passes_but_for_the_model_and_the_usage() -> None:
    events, decoder = decode(STREAM)
    assert frames(events) == renamed(b"".join((*STREAM[:4], DONE)).decode()).encode()
    assert kinds(events) == [
        EventKind.START,
        EventKind.OUTPUT,
        EventKind.OUTPUT,
        EventKind.FINISH,
        EventKind.USAGE,
        EventKind.DONE,
    ]
    assert decoder.usage == COUNTED
    assert decoder.complete


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n"])
def test_a_stream_byte_by_byte_is_the_same_stream(line_end: bytes, include_usage: bool) -> None:
    asked = streaming(include_usage=include_usage)
    body = b": hello\n\n" + b"".join(STREAM).replace(b'"id"', b'"\xc3\xa9":"\xe6\x97\xa5","id"')
    body = body.replace(b"\n", line_end)
    whole, decoder = decode([body], asked)
    single, other = decode([body[i : i + 1] for i in range(len(body))], asked)
    assert single == whole
    assert other.usage == decoder.usage == COUNTED


def test_events_come_as_they_arrive() -> None:
    decoder = ChunkDecoder(streaming(), TARGET)
    assert decoder.next_event() is NEED_DATA
    decoder.receive_data(STREAM[0] + STREAM[1][:-1])
    assert kinds(drain(decoder)) == [EventKind.START]
    decoder.receive_data(STREAM[1][-1:])
    assert kinds(drain(decoder)) == [EventKind.OUTPUT]


def test_the_decoders_of_two_streams_share_nothing() -> None:
    first, second = ChunkDecoder(streaming(), TARGET), ChunkDecoder(streaming(), TARGET)
    first.receive_data(b"".join(STREAM))
    drain(first)
    assert second.next_event() is NEED_DATA
    assert (second.usage, second.complete) == (None, False)


# --- what an event means --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ('"role":"assistant"', EventKind.START),
        ('"role":"assistant","content":null,"refusal":null', EventKind.START),
        ('"content":""', EventKind.START),
        ('"tool_calls":[]', EventKind.START),
        ("", EventKind.START),
        ('"content":" "', EventKind.OUTPUT),
        ('"content":[{"type":"text"}]', EventKind.OUTPUT),
        ('"tool_calls":[{"index":0,"id":"c","function":{"arguments":""}}]', EventKind.OUTPUT),
        ('"tool_calls":[{"index":0,"function":{"arguments":"{"}}]', EventKind.OUTPUT),
        ('"function_call":{"name":"f"}', EventKind.OUTPUT),
        ('"reasoning_content":"Hm"', EventKind.OUTPUT),
        ('"reasoning":"Hm"', EventKind.OUTPUT),
        ('"reasoning_details":[{"text":"Hm"}]', EventKind.OUTPUT),
        ('"refusal":"No"', EventKind.OUTPUT),
        ('"audio":{"id":"a"}', EventKind.OUTPUT),
    ],
)
def test_text_tool_calls_and_reasoning_are_output(fields: str, kind: EventKind) -> None:
    found = read_one(chunk(delta(fields)))
    assert found.kind is kind
    assert found.frame != b""


@pytest.mark.parametrize(
    ("reason", "kind", "complete"),
    [
        ('"stop"', EventKind.FINISH, True),
        ('"tool_calls"', EventKind.FINISH, True),
        ('"something_new"', EventKind.FINISH, True),
        ('{"type":"stop"}', EventKind.FINISH, True),
        ("7", EventKind.FINISH, True),
        ("null", EventKind.START, False),
        ('""', EventKind.START, False),  # some upstreams write this until the end
        ("false", EventKind.START, False),
    ],
)
def test_a_finish_reason_of_any_form_ends_a_choice(
    reason: str, kind: EventKind, complete: bool
) -> None:
    data = chunk(delta('"role":"assistant"', finish=reason))
    events, decoder = decode([event(data)])
    assert kinds(events) == [kind]
    assert events[0].frame == event(renamed(data))
    assert decoder.complete is complete


def test_a_last_chunk_with_text_is_output_and_the_end() -> None:
    events, decoder = decode([event(chunk(delta('"content":"x"', finish='"length"')))])
    assert kinds(events) == [EventKind.OUTPUT]
    assert decoder.complete


def test_legacy_completions_get_no_role_and_are_read_by_their_text() -> None:
    first = '{"object":"text_completion","model":"m","choices":[{"index":0,"text":""}]}'
    middle = first.replace('""', '"Hi"')
    last = first.replace('""', '"","finish_reason":"stop"')
    events, decoder = decode(
        [event(first), event(middle), event(last), DONE], streaming("completions")
    )
    assert kinds(events) == [
        EventKind.START,
        EventKind.OUTPUT,
        EventKind.FINISH,
        EventKind.DONE,
    ]
    assert frames(events) == b"".join(
        [event(data.replace('"m"', f'"{SERVED}"')) for data in (first, middle, last)] + [DONE]
    )
    assert decoder.complete


# --- the end of a stream --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "done",
    [
        b"data: [DONE]\n\n",
        b"data:[DONE]\n\n",
        b"data: [DONE]  \n\n",
        b"data: [DONE]\r\n\r\n",
        b"data: [DONE]",
        b"event: done\ndata: [DONE]\n\n",
    ],
)
def test_done_is_known_in_every_form_and_written_in_one(done: bytes) -> None:
    events, _ = decode([*STREAM[:4], done])
    assert events[-1] == StreamEvent(EventKind.DONE, DONE)


@pytest.mark.parametrize(
    ("chunks", "n", "complete"),
    [
        ([], 1, False),
        ([chunk(ROLE)], 1, False),
        ([chunk(text("x"))], 1, False),
        ([chunk(text("x")), chunk(STOP)], 1, True),
        ([chunk(STOP)], 2, False),
        ([chunk(STOP), chunk(STOP)], 2, False),
        ([chunk(STOP, delta("", index=1, finish='"stop"'))], 2, True),
        ([chunk(STOP), chunk(delta("", index=1, finish='"length"'))], 2, True),
        ([chunk(STOP), chunk(text("x", index=1))], 1, False),
    ],
)
def test_a_stream_without_done_is_complete_when_every_choice_has_finished(
    chunks: list[str], n: int, complete: bool
) -> None:
    events, decoder = decode(map(event, chunks), streaming(n=n))
    assert decoder.complete is complete
    assert EventKind.DONE not in kinds(events)
    assert decoder.closing_frames() == DONE


def test_a_completion_of_several_prompts_awaits_them_all() -> None:
    asked = streaming("completions", prompt=["a", "b"])
    one = '{"choices":[{"index":0,"text":"","finish_reason":"stop"}]}'
    _, decoder = decode([event(one)], asked)
    assert not decoder.complete
    _, decoder = decode([event(one), event(one.replace("0", "1"))], asked)
    assert decoder.complete


def test_a_cut_inside_an_event_is_seen() -> None:
    for length in range(len(STREAM[3]) - 3):
        events, decoder = decode([*STREAM[:3], STREAM[3][:length]])
        assert not decoder.complete
        assert EventKind.DONE not in kinds(events)


def test_a_choice_finishes_only_once_for_the_client() -> None:
    usage_chunk = chunk(delta('"content":"","x":1.50', finish='"stop"'), rest=f",{USAGE}")
    events, decoder = decode([*STREAM[:4], event(usage_chunk), DONE])
    reasons = [
        choice["finish_reason"]
        for found in client_events(frames(events[:-1]))
        for choice in json.loads(found.data)["choices"]
    ]
    assert reasons == [None, None, None, "stop", None]
    assert b'"x":1.50' in events[-2].frame
    assert decoder.complete


# --- roles and deltas -----------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["", '"role":null,', '"role":"",'])
def test_a_missing_role_is_put_into_the_first_delta_only(role: str) -> None:
    data = chunk(delta(f'{role}"content":"a"'))
    events, _ = decode([event(data), event(data)])
    first, second = (choices_of(found.frame)[0]["delta"] for found in events)
    assert first == {"role": "assistant", "content": "a"}
    assert second.get("role") in (None, "")


def test_each_choice_of_several_gets_its_role_once() -> None:
    pieces = [
        event(chunk(text("a"), delta('"role":"assistant","content":""', index=1))),
        event(chunk(text("b", index=2), text("c"), text("d", index=1))),
    ]
    events, _ = decode(pieces, streaming(n=3))
    roles = [
        [choice["delta"].get("role") for choice in choices_of(found.frame)] for found in events
    ]
    assert roles == [["assistant", "assistant"], ["assistant", None, None]]


def test_choices_without_index_are_the_first() -> None:
    events, _ = decode([event(chunk('{"index":null,"delta":{}}')), event(chunk(text("a")))])
    roles = [choices_of(found.frame)[0]["delta"].get("role") for found in events]
    assert roles == ["assistant", None]
    for index in ("", '"index":null,'):
        data = chunk(f'{{{index}"delta":{{"content":"a"}},"finish_reason":"stop"}}')
        events, decoder = decode([event(data)])
        assert choices_of(events[0].frame)[0]["delta"]["role"] == "assistant"
        assert decoder.complete


@pytest.mark.parametrize("missing", ['{"index":0}', '{"index":0,"delta":null}'])
def test_a_chat_choice_without_delta_gets_one(missing: str) -> None:
    extra = missing.replace("}", ',"content_filter_offsets":{"a":1}}')
    events, _ = decode([event(chunk(extra)), event(chunk(extra)), event(chunk(text("a")))])
    found = [choices_of(each.frame)[0] for each in events]
    assert [each["delta"] for each in found] == [{"role": "assistant"}, {}, {"content": "a"}]
    assert found[0]["content_filter_offsets"] == {"a": 1}


def test_what_is_unknown_in_a_mended_choice_keeps_its_bytes() -> None:
    tokens = '"logprobs":{"content":[{"token":"\\u00e9","logprob":-1.50,"bytes":[ 1 ]}]}'
    data = chunk(
        f'{{"index":0,"delta":{{"content":"\\u00e9\\/","x":1e2}},{tokens},"y":{{ "z":1.0 }}}}',
        rest=',"service_tier":"x","w":[ 1.50 ]',
    )
    frame = read_one(data).frame
    assert choices_of(frame)[0]["delta"].pop("role") == "assistant"
    for part in ('"content":"\\u00e9\\/"', '"x":1e2', tokens, '"y":{ "z":1.0 }', '"w":[ 1.50 ]'):
        assert part.encode() in frame


# --- chunks without choices -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        '{"id":"","object":"","model":"","choices":[],"prompt_filter_results":[{"x":1}]}',
        '{"object":"chat.completion.chunk","choices":[]}',
        '{"object":"chat.completion.chunk","model":"m"}',
        '{"object":"chat.completion.chunk","choices":null}',
    ],
    ids=["azure", "empty", "missing", "null"],
)
def test_a_chunk_without_choices_never_reaches_the_client(data: str) -> None:
    for asked in (streaming(), streaming(include_usage=True)):
        events, decoder = decode([event(data), *STREAM], asked)
        assert events[0] == StreamEvent(EventKind.START)
        assert decoder.complete


# --- what is not understood (I9) ------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        '{"type":"ping"}',
        '{"object":"thread.message.delta","delta":{"content":"x"},"usage":{"prompt_tokens":1}}',
        '{ "citations" : [ 1.50 ] , "error" : null }',
        "[1,2]",
        '"text"',
        "7",
        "null",
        '{"choices":"none"}',
        '{"choices":[7]}',
        '{"choices":{"0":{}}}',
        '{"choices":[{"index":0,"delta":"text"}]}',
        '{"choices":[{"index":"0"}]}',
        '{"model":7,"choices":[]}',
    ],
)
@pytest.mark.parametrize("name", [None, b"ping", b"thread.created"])
def test_i9_what_is_not_understood_passes_untouched(data: str, name: bytes | None) -> None:
    found = read_one(data, name=name)
    assert found == StreamEvent(EventKind.OTHER, event(data, name))


def test_i9_a_named_chunk_keeps_its_name() -> None:
    found = read_one(chunk(ROLE), name=b"chunk")
    assert found == StreamEvent(EventKind.START, event(renamed(chunk(ROLE)), b"chunk"))


def test_data_over_several_lines_goes_out_on_one() -> None:
    data = json.dumps(json.loads(chunk(ROLE)), indent=1)
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    events, _ = decode([lines.encode() + b"\n"])
    assert client_data(events[0].frame) == json.loads(renamed(chunk(ROLE)))


# --- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"{",
        b"[1,",
        b'"text',
        b'{"choices":5,',
        b'{"choices":"x"} x',
        chunk(ROLE).encode()[:-1],
        chunk(ROLE).encode() + b"}",
        b'{"choices":[{"index":0,"delta":{"content":"\xff"}}]}',
        b'{"choices":[{"index":0,"delta":{"content":"\xc3"}}]}',
        b'{"choices":[{"logprobs":NaN}]}',
        chunk(rest=f',"x":{DEEP}').encode(),
        f'{{"choices":5,"x":{DEEP}}}'.encode(),
        DEEP.encode(),
    ],
)
def test_what_is_no_json_is_skipped(data: bytes) -> None:
    events, decoder = decode([event(data), *STREAM])
    assert events[0] == StreamEvent(EventKind.MALFORMED)
    assert events[1:] == decode(STREAM)[0]
    assert decoder.complete


def test_a_nest_of_every_depth_around_the_limit_is_either_read_or_skipped() -> None:
    for depth in range(850, 1010):
        nest = "[" * depth + "]" * depth
        data = chunk(f'{{"delta":{{"content":{nest}}}}}', rest=',"usage":{}')
        assert read_one(data).kind in (EventKind.OUTPUT, EventKind.MALFORMED)


@pytest.mark.parametrize("blank", [b"", b"  "])
def test_an_event_without_content_is_a_sign_of_life(blank: bytes) -> None:
    assert read_one(blank) == StreamEvent(EventKind.START)


def test_an_event_beyond_every_bound_fails_the_stream_for_good() -> None:
    decoder = ChunkDecoder(streaming(), TARGET)
    decoder.receive_data(b"".join(STREAM[:2]) + b"data: " + b"x" * DEFAULT_MAX_EVENT_BYTES)
    decoder.receive_data(b"xxxx")
    events = drain(decoder)
    assert kinds(events) == [EventKind.START, EventKind.OUTPUT, EventKind.ERROR]
    failure = events[-1].failure
    assert failure is not None
    assert failure.kind is FailureKind.INVALID
    assert decoder.next_event() is END
    assert not decoder.complete


# --- errors inside a stream -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "name", "kind", "message"),
    [
        ('{"error":{"message":"m","code":429}}', None, FailureKind.RATE_LIMITED, "m"),
        ('{"error":{"message":"m","type":"server_error"}}', None, FailureKind.OVERLOADED, "m"),
        ('{"error":"boom"}', None, FailureKind.OVERLOADED, "boom"),
        ('{"error":{"message":"m"},"choices":[]}', None, FailureKind.OVERLOADED, "m"),
        (
            chunk(delta("", finish='"error"'), rest=',"error":{"code":502,"message":"m"}'),
            None,
            FailureKind.OVERLOADED,
            "m",
        ),
        ('{"error":{"message":"m"},"choices":5}', None, FailureKind.OVERLOADED, "m"),
        ('{"type":"error","error":{"message":"m"}}', b"error", FailureKind.OVERLOADED, "m"),
        ('{"message":"m","code":400}', b"error", FailureKind.REFUSED, "m"),
        ("it broke", b"error", FailureKind.OVERLOADED, "it broke"),
        (
            '{"object":"error","message":"m","type":"BadRequestError","code":400}',
            None,
            FailureKind.REFUSED,
            "m",
        ),
        (
            '{"error":{"message":"m","code":"context_length_exceeded"}}',
            None,
            FailureKind.CONTEXT_LENGTH,
            "m",
        ),
    ],
)
def test_an_error_event_is_classified_and_never_sent(
    data: str, name: bytes | None, kind: FailureKind, message: str
) -> None:
    found = read_one(data, name=name)
    assert (found.kind, found.frame) == (EventKind.ERROR, b"")
    assert found.failure is not None
    assert (found.failure.kind, found.failure.message) == (kind, message)


@pytest.mark.parametrize("nothing", ["null", "false", '""', "{}", "[]", "0"])
def test_an_error_that_says_nothing_is_none(nothing: str) -> None:
    found = read_one(chunk(ROLE, rest=f',"error":{nothing}'))
    assert found.kind is EventKind.START
    assert client_data(found.frame)["error"] == json.loads(nothing)


def test_the_served_model_may_need_escapes() -> None:
    told = target(served_model='a"b/é')
    events, _ = decode([event(chunk(ROLE))], told=told)
    assert client_data(events[0].frame)["model"] == 'a"b/é'


def test_a_chunk_without_model_gets_none() -> None:
    for start in ("{", '{"model":null,', '{ "x" : 1, '):
        data = f'{start}"choices":[{ROLE}]}}'
        for asked in (streaming(), streaming(include_usage=True)):
            assert read_one(data, asked).frame == event(data)


def test_signals_are_no_events() -> None:
    decoder = ChunkDecoder(streaming(), TARGET)
    decoder.receive_data(b"")
    assert isinstance(decoder.next_event(), Signal)
    assert decoder.next_event() is END

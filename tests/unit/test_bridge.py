"""Bridges: the four verbs by way of the middle, and what the gateway is told of their streams."""

import json

import msgspec
import pytest

from adapters.bridge import Bridge
from adapters.dialect import BadCall, Beginning, Call, EventKind, FailureKind, Usage
from adapters.openai.request import decode_call
from adapters.registry import CONTINUING, DIALECTS, dialect_for
from adapters.sse import Signal
from adapters.unserved import Unserved
from tests.dialect_wire import (
    TARGET,
    body_of,
    chat,
    chat_message,
    frames,
    kinds,
    message,
    messages,
    named,
    stream,
)

BEGUN = named("message_start", message={"id": "msg_1", "usage": {"input_tokens": 3}})
TEXT = (
    named("content_block_start", index=0, content_block={"type": "text", "text": ""}),
    named("content_block_delta", index=0, delta={"type": "text_delta", "text": "Grüße"}),
)
CALL = (
    named("content_block_stop", index=0),
    named(
        "content_block_start",
        index=1,
        content_block={"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    ),
)
END = (
    named("content_block_stop", index=1),
    named("message_delta", delta={"stop_reason": "tool_use"}, usage={"output_tokens": 5}),
    named("message_stop"),
)
WHOLE = (BEGUN, named("ping"), *TEXT, *CALL, *END)
CHAT = dialect_for("chat", "anthropic")


def streaming(**fields: object) -> Call:
    return chat(stream=True, stream_options={"include_usage": True}, **fields)


def test_every_face_reaches_every_dialect_and_its_own_natively() -> None:
    for upstream in DIALECTS:
        for face in ("chat", "messages"):
            found = dialect_for(face, upstream)
            if upstream in {"jina", "voyage"}:
                assert isinstance(found, Unserved)
                continue
            own = {"anthropic": "messages", "openai": "chat", "mistral": "chat", "deepseek": "chat"}
            assert isinstance(found, Bridge) is (own.get(upstream) != face)
    assert CONTINUING <= DIALECTS


def test_what_a_caller_can_pay_for_is_the_cap() -> None:
    limited = msgspec.structs.replace(chat(max_tokens=500), output_limit=7)
    assert body_of(CHAT.encode_request(limited, TARGET))["max_tokens"] == 7


@pytest.mark.parametrize("endpoint", ["completions", "embeddings"])
def test_an_endpoint_that_the_face_has_not_is_refused(endpoint: str) -> None:
    field = "prompt" if endpoint == "completions" else "input"
    body = json.dumps({"model": "m", field: "Hi"}).encode()
    call = decode_call(endpoint, body)  # type: ignore[arg-type]
    with pytest.raises(BadCall, match=endpoint) as caught:
        CHAT.encode_request(call, TARGET)
    assert caught.value.code == "unsupported_endpoint"


def test_who_cannot_go_on_with_an_answer_does_not_begin_it_again() -> None:
    beginning = Beginning(text=msgspec.Raw(b'"a"'), output_tokens=1, usage=None, members={})
    call = msgspec.structs.replace(chat(), beginning=beginning)
    reasons = {}
    for upstream in DIALECTS - CONTINUING:
        with pytest.raises(BadCall) as caught:
            dialect_for("chat", upstream).encode_request(call, TARGET)
        reasons[upstream] = caught.value.message
    no_chats = "This model does not serve 'chat'."
    assert reasons.pop("jina") == reasons.pop("voyage") == no_chats
    assert reasons == {
        "cohere": "The provider cannot go on with an answer that has begun elsewhere."
    }


def test_a_streams_events_mean_to_the_gateway_what_they_are() -> None:
    found = stream(CHAT, streaming(), WHOLE)
    assert kinds(found) == [
        EventKind.START,  # begun
        EventKind.USAGE,
        EventKind.START,  # ping
        EventKind.START,  # a text begins
        EventKind.OUTPUT,
        EventKind.START,  # the text ends
        EventKind.START,  # a call begins
        EventKind.OUTPUT,  # and has nothing but its name
        EventKind.USAGE,
        EventKind.FINISH,
        EventKind.DONE,
    ]
    assert chat_message(frames(found))["finish"] == "tool_calls"


def test_nothing_that_a_client_could_miss_goes_out_before_the_first_output() -> None:
    found = stream(CHAT, streaming(), WHOLE)
    early = frames(found[: kinds(found).index(EventKind.OUTPUT)])
    assert b"content_block" not in early
    assert b'"content":""' in early


def test_a_decoder_tells_usage_bytes_and_completeness_as_they_come() -> None:
    decoder = CHAT.stream_decoder(streaming(), TARGET)
    seen = []
    for piece in WHOLE:
        decoder.receive_data(piece)
        while not isinstance(decoder.next_event(), Signal):
            pass
        seen.append((decoder.usage, decoder.output_bytes, decoder.complete))
    assert seen[0] == (Usage(input_tokens=3), 0, False)
    assert seen[3] == (Usage(input_tokens=3), len("Grüße".encode()), False)
    assert seen[-2] == (Usage(input_tokens=3, output_tokens=5), len("Grüße".encode()), True)
    assert decoder.beginning is None


def test_a_stream_that_ends_without_its_last_event_is_complete_all_the_same() -> None:
    decoder = CHAT.stream_decoder(streaming(), TARGET)
    out = b""
    for piece in (*WHOLE[:-1], b""):
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), Signal):
            out += event.frame
    assert decoder.complete
    found = chat_message(out + decoder.closing_frames())
    assert (found["finish"], found["usage"]["total_tokens"]) == ("tool_calls", 8)


def test_a_stream_that_breaks_in_a_part_is_not_complete() -> None:
    decoder = CHAT.stream_decoder(streaming(), TARGET)
    for piece in (BEGUN, *TEXT, b""):
        decoder.receive_data(piece)
        while not isinstance(decoder.next_event(), Signal):
            pass
    assert not decoder.complete


@pytest.mark.parametrize("pieces", [(BEGUN, *TEXT), (BEGUN, *TEXT, *CALL), (BEGUN,)])
def test_a_stream_that_is_cut_reads_as_one_that_reached_its_cap(pieces: tuple[bytes, ...]) -> None:
    for face, call in (("chat", streaming()), ("messages", messages(stream=True))):
        upstream = "anthropic" if face == "chat" else "openai"
        dialect = dialect_for(face, upstream)  # type: ignore[arg-type]
        if face == "messages":
            pieces = tuple(event.frame for event in stream(CHAT, streaming(), pieces))
        decoder = dialect.stream_decoder(call, TARGET)
        out = b""
        for piece in filter(None, pieces):
            decoder.receive_data(piece)
            while not isinstance(event := decoder.next_event(), Signal):
                out += event.frame
        out += decoder.cut_frames(Usage(input_tokens=3, output_tokens=2))
        if face == "chat":
            found = chat_message(out)
            assert (found["finish"], found["usage"]["completion_tokens"]) == ("length", 2)
        else:
            read = message(out)
            assert (read["stop_reason"], read["usage"]["output_tokens"]) == ("max_tokens", 2)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("overloaded_error", FailureKind.OVERLOADED),
        ("rate_limit_error", FailureKind.RATE_LIMITED),
        ("api_error", FailureKind.OVERLOADED),
        ("authentication_error", FailureKind.CREDENTIAL),
    ],
)
def test_an_error_in_a_stream_keeps_its_class(error: str, kind: FailureKind) -> None:
    event = named("error", error={"type": error, "message": "m"})
    found = stream(CHAT, streaming(), [BEGUN, *TEXT, event])[-1]
    assert found.kind is EventKind.ERROR
    assert found.failure is not None
    assert (found.failure.kind, found.frame) == (kind, b"")


def test_an_event_that_cannot_be_read_is_malformed_and_the_stream_goes_on() -> None:
    found = stream(CHAT, streaming(), [BEGUN, b"event: ping\ndata: {\n\n", *WHOLE[2:]])
    assert EventKind.MALFORMED in kinds(found)
    assert chat_message(frames(found))["content"] == "Grüße"


def test_an_answer_without_usage_is_counted_by_what_it_says() -> None:
    body = json.dumps(
        {
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "Hi"},
                {"type": "tool_use", "id": "c1", "name": "look", "input": {"a": 1}},
            ],
        }
    ).encode()
    found = CHAT.decode_answer(chat(), TARGET, body)
    assert (found.usage, found.output_bytes) == (None, len("hmHilook") + len('{"a": 1}'))


def test_an_upstreams_error_is_classified_in_its_own_words() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}'
    assert CHAT.classify_error(529, [], body, now_at=0.0).kind is FailureKind.OVERLOADED

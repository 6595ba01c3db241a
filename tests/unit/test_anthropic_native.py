"""Clients of Messages at Anthropic itself: bytes pass, but for the model's name; usage is read on the way."""

import json
from typing import Any

import msgspec
import pytest

from adapters.anthropic.request import decode_call
from adapters.dialect import BadAnswer, EventKind, FaceName, FailureKind, StreamEvent, Usage
from adapters.registry import dialect_for
from adapters.sse import Signal
from tests.dialect_wire import (
    SERVED,
    TARGET,
    chat,
    frames,
    kinds,
    messages,
    named,
    sent,
    stream,
    target,
)

NATIVE = dialect_for("messages", "anthropic")
REAL = "claude-sonnet-4-5-20250929"


def event(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


BODY = (
    b'{"model":"m", "max_tokens":1e2,"messages":[{"role":"user","content":"caf\\u00e9"}],'
    b'"x_new":{"a": 1.50},"stream":true}'
)


def test_a_request_passes_in_its_own_bytes() -> None:
    encoded = NATIVE.encode_request(decode_call(BODY.replace(b"1e2", b"100")), TARGET)
    assert encoded.target == b"/v1/chat"
    assert json.loads(encoded.body) == {
        **json.loads(BODY),
        "max_tokens": 100,
        "model": TARGET.upstream_model,
    }
    assert b'"x_new":{"a": 1.50}' in encoded.body
    assert b"caf\\u00e9" in encoded.body


@pytest.mark.parametrize("face", ["chat", "messages"])
def test_every_request_names_the_version_once(face: FaceName) -> None:
    dialect, call = dialect_for(face, "anthropic"), chat() if face == "chat" else messages()
    version = (b"anthropic-version", b"2023-06-01")
    assert list(dialect.encode_request(call, TARGET).headers) == [*TARGET.headers, version]
    configured = target("m", headers=[(b"anthropic-version", b"2099-01-01")])
    assert dialect.encode_request(call, configured).headers == configured.headers


def test_what_a_caller_can_pay_for_is_the_cap() -> None:
    limited = msgspec.structs.replace(messages(max_tokens=500), output_limit=7)
    assert json.loads(NATIVE.encode_request(limited, TARGET).body)["max_tokens"] == 7


# --- whole answers ----------------------------------------------------------------------------------

ANSWER = (
    b'{"id":"msg_1","model":"%s","content":[{"type":"text","text":"caf\\u00e9 1.50"}], "x": 1.50,'
    b'"usage":{"input_tokens":5,"cache_read_input_tokens":30,"output_tokens":7}}'
) % REAL.encode()


def test_an_answer_passes_with_the_gateways_name_of_the_model() -> None:
    found = NATIVE.decode_answer(messages(), TARGET, ANSWER)
    assert found.body == ANSWER.replace(REAL.encode(), SERVED.encode())
    assert found.usage == Usage(input_tokens=35, output_tokens=7, cached_tokens=30)
    assert found.output_bytes == 0


def test_an_answer_without_usage_is_counted_by_its_content() -> None:
    content = b'[{"type":"text","text":"Hi"}]'
    found = NATIVE.decode_answer(messages(), TARGET, b'{"content":' + content + b"}")
    assert (found.usage, found.output_bytes) == (None, len(content) - 2)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", FailureKind.INVALID),
        (b'{"id":"msg_1"}', FailureKind.INVALID),
        (b'{"type":"error","error":{"type":"rate_limit_error"}}', FailureKind.RATE_LIMITED),
    ],
)
def test_what_is_no_answer_is_a_failure_of_its_class(body: bytes, kind: FailureKind) -> None:
    with pytest.raises(BadAnswer) as caught:
        NATIVE.decode_answer(messages(), TARGET, body)
    assert caught.value.failure.kind is kind


# --- streams ----------------------------------------------------------------------------------------

BEGUN = event(
    "message_start",
    f'{{"type":"message_start","message":{{"id":"msg_1","model":"{REAL}","x": 1.50,"usage":'
    '{"input_tokens":5,"cache_creation_input_tokens":2,"output_tokens":1}}}',
)
PING = event("ping", '{"type": "ping"}')
BLOCK = event(
    "content_block_start",
    '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}',
)
TEXT = event(
    "content_block_delta",
    '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"caf\\u00e9"}}',
)
BLOCK_END = event("content_block_stop", '{"type":"content_block_stop","index":0}')
NEW = event("a_new_one", '{"type":"a_new_one","y": 1.50}')
END = event(
    "message_delta",
    '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}',
)
OVER = event("message_stop", '{"type":"message_stop"}')
WHOLE = (BEGUN, PING, BLOCK, TEXT, NEW, BLOCK_END, END, OVER)


def read(*pieces: bytes) -> list[StreamEvent]:
    return stream(NATIVE, messages(stream=True), pieces)


def test_a_stream_passes_in_its_own_bytes_but_for_the_models_name() -> None:
    found = read(*WHOLE)
    assert frames(found) == b"".join(WHOLE).replace(REAL.encode(), SERVED.encode())
    assert kinds(found) == [
        EventKind.START,
        EventKind.START,
        EventKind.START,
        EventKind.OUTPUT,
        EventKind.OTHER,
        EventKind.START,
        EventKind.FINISH,
        EventKind.DONE,
    ]


def decoded(*pieces: bytes) -> Any:
    decoder = NATIVE.stream_decoder(messages(stream=True), TARGET)
    for piece in pieces:
        decoder.receive_data(piece)
        while not isinstance(decoder.next_event(), Signal):
            pass
    return decoder


def test_a_decoder_tells_usage_bytes_and_completeness_as_they_come() -> None:
    early, late = decoded(*WHOLE[:4]), decoded(*WHOLE[:7])
    assert early.usage == Usage(input_tokens=7, output_tokens=1, cache_write_tokens=2)
    assert late.usage == Usage(input_tokens=7, output_tokens=9, cache_write_tokens=2)
    assert (early.output_bytes, early.complete, early.beginning) == (len("caf\\u00e9"), False, None)
    assert late.complete


def test_an_event_without_a_name_gets_one_for_clients_drop_it_otherwise() -> None:
    (found,) = read(b'data: {"type":"ping"}\n\n')
    assert found.frame == event("ping", '{"type":"ping"}')


def test_an_event_without_a_type_goes_by_its_name() -> None:
    assert kinds(read(event("message_stop", "{}"))) == [EventKind.DONE]


def test_the_last_event_is_made_up_for_once_if_it_is_missing() -> None:
    decoder = decoded(*WHOLE[:7])
    assert decoder.closing_frames() == OVER
    assert decoder.closing_frames() == b""
    assert decoded(*WHOLE).closing_frames() == b""


def test_a_stream_that_is_cut_reads_as_one_that_reached_its_cap() -> None:
    out = decoded(*WHOLE[:4]).cut_frames(Usage(input_tokens=7, output_tokens=3))
    block, end, over = sent(out)
    assert json.loads(block.data) == {"type": "content_block_stop", "index": 0}
    assert json.loads(end.data)["delta"]["stop_reason"] == "max_tokens"
    assert json.loads(end.data)["usage"]["output_tokens"] == 3
    assert over.name == b"message_stop"


def test_an_error_event_is_a_failure_and_what_cannot_be_read_is_malformed() -> None:
    error = named("error", error={"type": "overloaded_error", "message": "Overloaded"})
    (found,) = read(error)
    assert (found.kind, found.frame) == (EventKind.ERROR, b"")
    assert found.failure is not None
    assert found.failure.kind is FailureKind.OVERLOADED
    assert kinds(read(event("ping", "{"), event("message_start", "{}"))) == [
        EventKind.MALFORMED,
        EventKind.MALFORMED,
    ]


def test_an_event_beyond_all_bounds_ends_the_stream() -> None:
    (found,) = read(b"data: " + b"x" * (17 * 1024 * 1024))
    assert found.kind is EventKind.ERROR


@pytest.mark.parametrize(
    ("betas", "flags"),
    [
        (None, b"own-1,a-1, b-2,c-3"),
        (frozenset({b"b-2", b"c-3", b"z"}), b"own-1,b-2,c-3"),
        (frozenset(), b"own-1"),
    ],
)
def test_of_a_clients_flags_those_go_on_that_the_provider_knows(
    betas: frozenset[bytes] | None, flags: bytes
) -> None:
    passed = ((b"anthropic-beta", b"a-1, b-2"), (b"anthropic-beta", b"c-3"))
    call = msgspec.structs.replace(messages(), passed_headers=passed)
    own = (b"anthropic-beta", b"own-1")
    told = msgspec.structs.replace(TARGET, headers=[*TARGET.headers, own], betas=betas)
    sent = NATIVE.encode_request(call, told).headers
    assert [value for name, value in sent if name == b"anthropic-beta"] == [flags]


def test_without_a_flag_that_it_knows_a_provider_gets_no_header_for_them() -> None:
    call = msgspec.structs.replace(messages(), passed_headers=((b"anthropic-beta", b"a-1"),))
    told = msgspec.structs.replace(TARGET, betas=frozenset())
    assert b"anthropic-beta" not in dict(NATIVE.encode_request(call, told).headers)

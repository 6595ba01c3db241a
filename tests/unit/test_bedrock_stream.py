"""Streams of Converse: real frames, with checksums, read into the middle."""

import struct
import zlib
from typing import Any

import msgspec
import pytest

from adapters.dialect import FailureKind, Usage
from adapters.middle.conversation import OutputFormat
from adapters.middle.event import (
    Alive,
    Begun,
    Ended,
    Failed,
    Grown,
    Malformed,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.sse import END, NEED_DATA
from tests.unit.bedrock_wire import (
    START,
    UPSTREAM,
    call,
    end_of,
    event,
    exception,
    frame,
    metadata,
    piece,
    read,
    stop,
    thought,
)
from tests.unit.gemini_wire import conversation

FORM = OutputFormat(kind="json_schema", schema=msgspec.Raw(b'{"type":"object"}'))
TAIL = [UsageTold(Usage(input_tokens=5, output_tokens=7)), Ended()]


def told(*frames: bytes) -> list[Any]:
    """What the frames between an answer's beginning and its usual end tell."""
    found = read([START, *frames, stop(), metadata()])
    assert found[0] == Begun()
    assert found[-2:] == TAIL
    return found[1:-2]


def test_text_begins_with_its_first_piece() -> None:
    assert told(piece(0, text=""), piece(0, text="Hel"), piece(0, text="lo"), end_of(0)) == [
        PartBegun(part=0, kind="text"),
        Grown(part=0, text="Hel"),
        Grown(part=0, text="lo"),
        PartEnded(part=0),
        Stopped(stop="stop"),
    ]


def test_several_calls_are_numbered_by_parts_and_join_to_json() -> None:
    found = told(
        thought(0, text="Hm"),
        thought(0, signature="sig"),
        end_of(0),
        piece(1, text="Well."),
        end_of(1),
        call(2, "c1", "add", "", '{"a"', ": 1}"),
        call(3, "c2", "look"),
    )
    assert found == [
        PartBegun(part=0, kind="reasoning"),
        Grown(part=0, text="Hm"),
        Grown(part=0, signature="bedrock:sig"),
        PartEnded(part=0),
        PartBegun(part=1, kind="text"),
        Grown(part=1, text="Well."),
        PartEnded(part=1),
        PartBegun(part=2, kind="call", id="c1", name="add"),
        Grown(part=2, text='{"a"'),
        Grown(part=2, text=": 1}"),
        PartEnded(part=2),
        PartBegun(part=3, kind="call", id="c2", name="look"),
        Grown(part=3, text="{}"),
        PartEnded(part=3),
        Stopped(stop="tool_calls"),
    ]


def test_a_thought_without_text_has_its_signature_still() -> None:
    assert told(thought(0, signature="sig"), end_of(0))[:2] == [
        PartBegun(part=0, kind="reasoning"),
        Grown(part=0, signature="bedrock:sig"),
    ]


def test_each_secret_thought_is_a_part_of_its_own() -> None:
    found = told(thought(0, redactedContent="eHg="), thought(0, redactedContent="eXk="), end_of(0))
    assert found == [
        PartBegun(part=0, kind="redacted"),
        Grown(part=0, text="bedrock:eHg="),
        PartEnded(part=0),
        PartBegun(part=1, kind="redacted"),
        Grown(part=1, text="bedrock:eXk="),
        PartEnded(part=1),
        Stopped(stop="stop"),
    ]


SERVER_USE = {"toolUse": {"toolUseId": "s1", "name": "web", "type": "server_tool_use"}}


def test_blocks_that_say_nothing_to_clients_take_no_number() -> None:
    found = told(
        event("contentBlockStart", contentBlockIndex=0, start=SERVER_USE),
        piece(0, toolUse={"input": "{}"}),
        end_of(0),
        event("contentBlockStart", contentBlockIndex=1, start={"toolResult": {"toolUseId": "s1"}}),
        piece(1, toolResult=[{"text": "x"}]),
        end_of(1),
        event("contentBlockStart", contentBlockIndex=2, start={"image": {"format": "png"}}),
        piece(2, image={"source": {"bytes": "eHg="}}),
        end_of(2),
        piece(3, text="Hi"),
        piece(3, citation={"title": "t", "location": {}}),
        end_of(3),
    )
    assert found == [
        PartBegun(part=0, kind="text"),
        Grown(part=0, text="Hi"),
        PartEnded(part=0),
        Stopped(stop="stop"),
    ]


def test_the_end_closes_what_is_open() -> None:
    assert told(piece(0, text="Hi"))[-2:] == [PartEnded(part=0), Stopped(stop="stop")]


@pytest.mark.parametrize("fragments", [('{"a":', "1}"), ()])
def test_the_forms_function_is_told_as_text(fragments: tuple[str, ...]) -> None:
    asked = conversation(format=FORM)
    body = [START, call(0, "c1", "give_answer", *fragments), stop("tool_use"), metadata()]
    found = read(body, asked)
    assert found[1] == PartBegun(part=0, kind="text")
    text = "".join(each.text for each in found if isinstance(each, Grown))
    assert text == ("".join(fragments) or "{}")
    assert Stopped(stop="stop") in found


def test_a_choice_stops_once() -> None:
    found = read([START, piece(0, text="x"), stop(), stop("max_tokens"), metadata()])
    assert [each for each in found if isinstance(each, Stopped)] == [Stopped(stop="stop")]


def test_a_fragment_of_a_call_that_never_began_is_no_text() -> None:
    found = told(piece(0, text="Hi"), piece(0, toolUse={"input": "{}"}), end_of(0))
    assert [each.text for each in found if isinstance(each, Grown)] == ["Hi"]


def test_usage_comes_behind_the_end_with_all_its_parts() -> None:
    counts = {"cacheReadInputTokens": 10, "cacheWriteInputTokens": 20}
    found = read([START, stop("max_tokens"), metadata(**counts)])
    total = Usage(input_tokens=35, output_tokens=7, cached_tokens=10, cache_write_tokens=20)
    assert found == [Begun(), Stopped(stop="length"), UsageTold(total), Ended()]


def test_usage_before_the_end_is_no_end() -> None:
    found = read([START, metadata(), piece(0, text="x"), stop()])
    assert found[1] == TAIL[0]
    assert found[-2:] == [Stopped(stop="stop"), Ended()]


def test_a_stream_that_lacks_its_usage_has_stopped_but_not_ended() -> None:
    found = read([START, piece(0, text="x"), stop()])
    assert found[-1] == Stopped(stop="stop")


def test_the_stop_text_is_told() -> None:
    fields = {"additionalModelResponseFields": {"stop_sequence": "END"}}
    found = read([START, stop("stop_sequence", **fields), metadata()])
    assert found[1] == Stopped(stop="stop", stop_sequence="END")


@pytest.mark.parametrize("reason", ["malformed_model_output", "malformed_tool_use"])
def test_what_the_model_spoiled_fails_and_nothing_follows(reason: str) -> None:
    found = read([START, piece(0, text="x"), stop(reason), metadata()])
    failed = found[-1]
    assert isinstance(failed, Failed)
    assert (failed.failure.kind, failed.failure.code) == (FailureKind.INVALID, reason)
    assert not any(isinstance(each, Stopped | Ended) for each in found)


@pytest.mark.parametrize(
    ("name", "fields", "kind", "status"),
    [
        ("throttlingException", {"message": "Too many tokens."}, FailureKind.RATE_LIMITED, 429),
        ("internalServerException", {"message": "Oops."}, FailureKind.OVERLOADED, 500),
        ("serviceUnavailableException", {"message": "Busy."}, FailureKind.OVERLOADED, 503),
        ("modelStreamErrorException", {"message": "Broke."}, FailureKind.OVERLOADED, 424),
        (
            "modelStreamErrorException",
            {"message": "Wait.", "originalStatusCode": 429, "originalMessage": "x"},
            FailureKind.RATE_LIMITED,
            424,
        ),
        ("validationException", {"message": "No."}, FailureKind.REFUSED, 400),
        (
            "validationException",
            {"message": "Input is too long for requested model."},
            FailureKind.CONTEXT_LENGTH,
            400,
        ),
        ("accessDeniedException", {"Message": "No."}, FailureKind.CREDENTIAL, 403),
        ("somethingNewException", {"message": "Hm."}, FailureKind.OVERLOADED, 500),
        ("modelTimeoutException", {}, FailureKind.OVERLOADED, 408),
    ],
)
def test_an_exception_inside_a_stream_fails_it_by_its_class(
    name: str, fields: Any, kind: FailureKind, status: int
) -> None:
    found = read([START, piece(0, text="x"), exception(name, **fields), stop(), metadata()])
    failed = found[-1]
    assert isinstance(failed, Failed)
    assert (failed.failure.kind, failed.failure.status) == (kind, status)
    assert failed.failure.type == name
    expected = fields.get("message") or fields.get("Message")
    assert failed.failure.message == (expected or f"The provider answered with {name}.")


def test_an_exception_may_be_no_json() -> None:
    headers = {":message-type": "exception", ":exception-type": "internalServerException"}
    (failed,) = read([frame(headers, b"\xffplain")])
    assert isinstance(failed, Failed)
    assert "plain" in failed.failure.message


def test_a_frame_may_be_an_error_without_a_payload() -> None:
    headers = {
        ":message-type": "error",
        ":error-code": "ThrottlingException",
        ":error-message": "Slower, please.",
    }
    found = read([START, frame(headers, b"")])
    failed = found[-1]
    assert isinstance(failed, Failed)
    assert failed.failure.kind is FailureKind.RATE_LIMITED
    assert failed.failure.message == "Slower, please."


def test_unknown_events_mean_that_the_provider_is_alive() -> None:
    found = read([START, event("somethingNew", a=1), end_of(9), stop(), metadata()], alive=True)
    assert found == [Begun(), Alive(), Alive(), Stopped(stop="stop"), *TAIL]


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b'{"delta":{"text":1}}', b'{"delta":{"text":"\xff"}}']
)
def test_an_event_that_cannot_be_read_is_told_and_the_stream_goes_on(payload: bytes) -> None:
    headers = {":message-type": "event", ":event-type": "contentBlockDelta"}
    found = read([START, frame(headers, payload), piece(0, text="x"), stop(), metadata()])
    assert found[1:3] == [Malformed(), PartBegun(part=0, kind="text")]
    assert found[-1] == Ended()


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_a_frame_with_one_wrong_bit_ends_the_stream_as_a_failure() -> None:
    good = piece(0, text="x")
    for place in range(len(good)):
        found = read([START, flipped(good, place), stop(), metadata()])
        assert isinstance(found[-1], Failed), place
        assert found[-1].failure.kind is FailureKind.INVALID
        assert len(found) == 2


@pytest.mark.parametrize(
    "body", [b"data: {}\n\n" * 3, b'{"message":"this is JSON, and no frame at all"}', b"\x00" * 16]
)
def test_what_is_no_event_stream_fails(body: bytes) -> None:
    (failed,) = read([body])
    assert isinstance(failed, Failed)
    assert failed.failure.kind is FailureKind.INVALID


@pytest.mark.parametrize(
    "packed", [b"\x01a\x63", b"\x01\xff\x00", b"\x01a\x04\x00", b"\x01a\x00" * 2]
)
def test_headers_that_make_no_sense_fail_though_their_checksums_fit(packed: bytes) -> None:
    prelude = struct.pack("!II", 16 + len(packed), len(packed))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed
    (failed,) = read([message + struct.pack("!I", zlib.crc32(message))])
    assert isinstance(failed, Failed)
    assert failed.failure.kind is FailureKind.INVALID


def test_a_body_that_ends_inside_a_frame_tells_of_no_end() -> None:
    body = START + piece(0, text="x") + stop()
    found = read([body[:-1]])
    assert found == [Begun(), PartBegun(part=0, kind="text"), Grown(part=0, text="x")]


def test_a_decoder_asks_for_data_until_the_body_ends() -> None:
    source = UPSTREAM.event_source(conversation())
    assert source.next_event() is NEED_DATA
    source.receive_data(START[:5])
    assert source.next_event() is NEED_DATA
    source.receive_data(START[5:])
    assert source.next_event() == Begun()
    assert source.next_event() is NEED_DATA
    source.receive_data(b"")
    assert source.next_event() is END
    assert source.next_event() is END

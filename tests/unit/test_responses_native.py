"""Responses passed through: which bytes go out, which come back, and what the gateway makes of them."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response

from adapters.dialect import (
    BadAnswer,
    BadCall,
    Call,
    EventKind,
    FailureKind,
    StreamDecoder,
    ToldError,
    Usage,
)
from adapters.middle.conversation import Reasoning
from adapters.middle.signature import with_signature
from adapters.registry import dialect_of_call
from adapters.responses.call import decode_call
from adapters.responses.native import ResponsesDialect
from adapters.responses.seal import seal
from adapters.sse import Signal
from tests.dialect_wire import SERVED, TARGET, frames, kinds, stream
from tests.unit.responses_wire import accumulated, asked, told

TOLD = msgspec.structs.replace(
    TARGET, upstream_model="gpt-9", paths={**TARGET.paths, "responses": b"/v1/responses"}
)
NATIVE = ResponsesDialect()
USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 1},
    "output_tokens": 6,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 15,
}
READ = Usage(
    input_tokens=9, output_tokens=6, cached_tokens=4, cache_write_tokens=1, reasoning_tokens=2
)
SEALED = seal(Reasoning(text="Hm.", signature="gemini:s"))


def sent(call: Call) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(NATIVE.encode_request(call, TOLD).body)
    return body


# --- requests -----------------------------------------------------------------------------------------


def test_it_is_chosen_where_the_provider_has_responses_and_nothing_has_begun() -> None:
    call = asked()
    assert isinstance(dialect_of_call(call, "openai", has_responses=True), ResponsesDialect)
    assert not isinstance(dialect_of_call(call, "openai"), ResponsesDialect)
    chat = msgspec.structs.replace(call, face="chat")
    assert not isinstance(dialect_of_call(chat, "openai", has_responses=True), ResponsesDialect)


def test_every_field_keeps_its_bytes_but_the_model_and_that_nothing_is_stored() -> None:
    odd = '"input":[{"role":"user",  "content":"\\u0048i"}],"temperature": 1.50,"x":{"a" : 1.0}'
    tools = '"tools":[{"type":"web_search" },{"type":"mcp","server_url":"u"}]'
    body = f'{{"model":"{SERVED}","store":true,{odd},{tools}}}'
    encoded = NATIVE.encode_request(decode_call(body.encode()), TOLD)
    kept = '"input":[{"role":"user",  "content":"\\u0048i"}],"temperature":1.50,"x":{"a" : 1.0}'
    assert f"{kept},{tools}".encode() in encoded.body
    written = json.loads(encoded.body)
    assert (written["model"], written["store"]) == ("gpt-9", False)
    assert encoded.target == b"/v1/responses"


def test_what_a_caller_can_pay_for_is_the_cap() -> None:
    limited = msgspec.structs.replace(asked(max_output_tokens=500), output_limit=7)
    assert sent(limited)["max_output_tokens"] == 7
    assert sent(asked(max_output_tokens=500))["max_output_tokens"] == 500


def test_what_others_left_in_the_input_does_not_go_out() -> None:
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}
    user = {"role": "user", "content": 'About "reasoning"'}
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
    result = {"type": "function_call_output", "output": "1", "call_id": "call_1"}
    signed = {"call_id": with_signature("call_1", "gemini:s")}
    said = [
        user,
        own,
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": SEALED},
        {"type": "reasoning", "id": "rs_3", "summary": []},
        call | signed,
        result | signed,
        {"type": "unknown", "call_id": 7},
    ]
    assert sent(asked(said))["input"] == [user, own, call, result, said[-1]]


def test_an_item_that_lies_nowhere_is_refused_by_its_place() -> None:
    said = [{"role": "user", "content": "a"}, {"type": "item_reference", "id": "msg_1"}]
    with pytest.raises(BadCall) as caught:
        sent(asked(said))
    assert caught.value.param == "input[1]"


# --- whole answers ------------------------------------------------------------------------------------


def test_a_whole_answer_passes_but_for_its_model() -> None:
    body = '{"id":"resp_1", "model":"gpt-9-2026","output":[ ],"x" : 1.0,"usage":%s}'
    answer = NATIVE.decode_answer(asked(), TOLD, (body % json.dumps(USAGE)).encode())
    assert answer.body == (body % json.dumps(USAGE)).replace("gpt-9-2026", SERVED).encode()
    assert answer.usage == READ


@pytest.mark.parametrize("usage", [b"", b',"usage":null', b',"usage":{"input_tokens":-1}'])
def test_without_usage_the_answers_size_is_told(usage: bytes) -> None:
    body = b'{"model":"m","output":[12345678]' + usage + b"}"
    answer = NATIVE.decode_answer(asked(), TOLD, body)
    assert (answer.usage, answer.output_bytes) == (None, 8)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", FailureKind.INVALID),
        (b"{}", FailureKind.INVALID),
        (b'{"output":[],"model":"\xff"}', FailureKind.INVALID),
        (b'{"error":{"code":"rate_limit_exceeded","message":"slow"}}', FailureKind.RATE_LIMITED),
        (b'{"output":[],"error":{"code":"server_error","message":"x"}}', FailureKind.OVERLOADED),
    ],
)
def test_what_is_no_answer_is_put_into_its_class(body: bytes, kind: FailureKind) -> None:
    with pytest.raises(BadAnswer) as caught:
        NATIVE.decode_answer(asked(), TOLD, body)
    assert caught.value.failure.kind is kind


# --- streams ------------------------------------------------------------------------------------------


def event(name: str, number: int, **fields: Any) -> bytes:
    data = json.dumps({"type": name, "sequence_number": number, **fields})
    return f"event: {name}\ndata: {data}\n\n".encode()


def response(status: str, output: Sequence[Any] = (), **fields: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-9-2026",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "store": False,
        **fields,
    }


AT = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
PART = {"type": "output_text", "text": "", "annotations": []}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "in_progress",
    "content": [],
}
WHOLE_PART = PART | {"text": "Grüße, du"}
WHOLE_MESSAGE = MESSAGE | {"status": "completed", "content": [WHOLE_PART]}
HEAD = (
    event("response.created", 0, response=response("in_progress")),
    event("response.in_progress", 1, response=response("in_progress")),
    event("response.output_item.added", 2, output_index=0, item=MESSAGE),
    event("response.content_part.added", 3, **AT, part=PART),
)
TEXT = (
    event("response.output_text.delta", 4, **AT, delta="Grüße,", logprobs=[], x={"y": 1}),
    event("response.output_text.delta", 5, **AT, delta=" du", logprobs=[]),
)
TAIL = (
    event("response.output_text.done", 6, **AT, text="Grüße, du", logprobs=[]),
    event("response.content_part.done", 7, **AT, part=WHOLE_PART),
    event("response.output_item.done", 8, output_index=0, item=WHOLE_MESSAGE),
    event("response.completed", 9, response=response("completed", [WHOLE_MESSAGE], usage=USAGE)),
)
STREAM = (*HEAD, *TEXT, *TAIL)
CALL_ITEM = {
    "id": "fc_1",
    "type": "function_call",
    "status": "in_progress",
    "call_id": "call_1",
    "name": "look",
    "arguments": "",
}
CALL = (
    event("response.output_item.added", 9, output_index=1, item=CALL_ITEM),
    event(
        "response.function_call_arguments.delta", 10, item_id="fc_1", output_index=1, delta='{"a'
    ),
)


def decoded(*pieces: bytes, keeps: bool = True) -> StreamDecoder:
    """The decoder after it has handed out all of these."""
    call = msgspec.structs.replace(asked(stream=True), keeps_beginning=keeps)
    decoder = NATIVE.stream_decoder(call, TOLD)
    for piece in pieces:
        decoder.receive_data(piece)
        while not isinstance(decoder.next_event(), Signal):
            pass
    return decoder


def test_a_stream_passes_in_its_own_bytes_but_for_the_model() -> None:
    found = stream(NATIVE, asked(stream=True), STREAM, TOLD)
    passed = [event.frame for event in found]
    assert passed[2:-1] == list(STREAM[2:-1])
    for ours, theirs in zip((*passed[:2], passed[-1]), (*STREAM[:2], STREAM[-1]), strict=True):
        ours_data, theirs_data = (json.loads(one.split(b"data: ")[1]) for one in (ours, theirs))
        assert ours_data["response"].pop("model") == SERVED
        theirs_data["response"].pop("model")
        assert ours_data == theirs_data
    assert accumulated(frames(found)).output_text == "Grüße, du"


def test_its_events_mean_to_the_gateway_what_they_are() -> None:
    found = stream(NATIVE, asked(stream=True), STREAM, TOLD)
    start, output, other = EventKind.START, EventKind.OUTPUT, EventKind.OTHER
    assert kinds(found) == [
        *[start, start, other, other],
        *[output, output],
        *[other, other, other],
        EventKind.DONE,
    ]
    decoder = decoded(*STREAM)
    assert (decoder.usage, decoder.complete) == (READ, True)
    said = (json.dumps("Grüße,"), json.dumps(" du"))  # as they were written
    assert decoder.output_bytes == sum(len(one) - 2 for one in said)


def test_an_event_that_nobody_has_heard_of_passes() -> None:
    unheard = event("response.unheard_of", 4, surprise=[1.0])
    nameless = b'data: {"what":"ever"}\n\n'
    found = stream(NATIVE, asked(stream=True), (*HEAD, unheard, nameless), TOLD)[-2:]
    assert kinds(found) == [EventKind.OTHER] * 2
    assert [event.frame for event in found] == [unheard, nameless]


def test_it_is_the_same_byte_by_byte() -> None:
    whole = b"".join(STREAM)
    call = asked(stream=True)
    bytewise = stream(NATIVE, call, [whole[at : at + 1] for at in range(len(whole))], TOLD)
    assert bytewise == stream(NATIVE, call, STREAM, TOLD)


def test_a_stream_without_its_last_event_is_not_complete() -> None:
    for end in range(len(STREAM)):
        assert not decoded(*STREAM[:end]).complete
    assert not decoded(*STREAM[:-1], b"data: [DONE]\n\n").complete


def test_a_stream_that_stops_at_its_cap_is_complete() -> None:
    last = event("response.incomplete", 10, response=response("incomplete", usage=USAGE))
    assert decoded(*STREAM[:-1], last).complete


@pytest.mark.parametrize(
    ("failing", "kind"),
    [
        (
            event("error", 4, code="rate_limit_exceeded", message="slow", param=None),
            FailureKind.RATE_LIMITED,
        ),
        (
            event(
                "response.failed",
                4,
                response=response("failed", error={"code": "server_error", "message": "x"}),
            ),
            FailureKind.OVERLOADED,
        ),
        (event("response.failed", 4, response=response("failed")), FailureKind.OVERLOADED),
        (
            event(
                "response.failed",
                4,
                response=response(
                    "failed", error={"code": "context_length_exceeded", "message": "x"}
                ),
            ),
            FailureKind.CONTEXT_LENGTH,
        ),
    ],
)
def test_a_stream_that_fails_says_in_which_class(failing: bytes, kind: FailureKind) -> None:
    *_, found = stream(NATIVE, asked(stream=True), (*HEAD, failing), TOLD)
    assert found.kind is EventKind.ERROR
    assert found.failure is not None
    assert found.failure.kind is kind
    assert found.frame == b""


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"type":7}', b'{"type":"\xff"}'])
def test_an_event_that_cannot_be_read_is_counted(data: bytes) -> None:
    found = stream(NATIVE, asked(stream=True), [b"data: " + data + b"\n\n"], TOLD)
    assert kinds(found) == [EventKind.MALFORMED]


# --- ends that are the gateway's ----------------------------------------------------------------------


def test_a_cut_ends_everything_that_is_open_as_incomplete() -> None:
    pieces = (*STREAM[:-1], *CALL)
    passed = frames(stream(NATIVE, asked(stream=True), pieces, TOLD))
    end = decoded(*pieces).cut_frames(Usage(input_tokens=1, output_tokens=2))
    found = told(passed + end)
    assert [one["type"] for one in found[-3:]] == [
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    last = found[-1]["response"]
    assert (last["status"], last["model"]) == ("incomplete", SERVED)
    assert last["incomplete_details"] == {"reason": "max_output_tokens"}
    assert last["output"] == [
        WHOLE_MESSAGE,
        CALL_ITEM | {"status": "incomplete", "arguments": '{"a'},
    ]
    assert last["usage"]["total_tokens"] == 3


def test_a_cut_in_a_text_tells_what_came_of_it() -> None:
    pieces = STREAM[:5]
    passed = frames(stream(NATIVE, asked(stream=True), pieces, TOLD))
    end = decoded(*pieces).cut_frames(Usage())
    last = told(passed + end)[-1]
    assert Response.model_validate(last["response"]).output_text == "Grüße,"
    assert last["response"]["status"] == "incomplete"


def test_a_text_that_is_told_as_a_whole_is_not_told_again() -> None:
    end = decoded(*STREAM[:7]).cut_frames(Usage())
    assert b"output_text.done" not in end
    assert b"content_part.done" in end


def test_a_break_is_told_twice_with_what_was_whole() -> None:
    error = ToldError(status=503, message="cut", type="server_error", code="server_error")
    pieces = (*STREAM[:-1], *CALL)
    end = decoded(*pieces).error_frames(error)
    first, last = told(frames(stream(NATIVE, asked(stream=True), pieces, TOLD)) + end)[-2:]
    assert (first["type"], first["code"], first["error"]["message"]) == (
        "error",
        "server_error",
        "cut",
    )
    assert last["response"]["status"] == "failed"
    assert last["response"]["output"] == [WHOLE_MESSAGE]
    assert last["response"]["error"] == {"code": "server_error", "message": "cut"}


# --- beginnings ---------------------------------------------------------------------------------------


def test_one_open_text_is_kept_to_be_gone_on_with() -> None:
    found = decoded(*STREAM[:5]).beginning
    assert found is not None
    members = {name: msgspec.json.decode(raw) for name, raw in found.members.items()}
    assert msgspec.json.decode(found.text) == "Grüße,"
    assert members["sequence_number"] == 5
    assert members["item_id"] == "msg_1"
    assert members["response"]["model"] == SERVED


@pytest.mark.parametrize(
    "pieces",
    [
        STREAM[:4],
        STREAM[:7],
        (
            *HEAD[:2],
            event(
                "response.output_item.added",
                2,
                output_index=0,
                item={"type": "reasoning", "id": "rs_1", "summary": []},
            ),
            event("response.output_item.added", 3, output_index=1, item=MESSAGE),
            event("response.content_part.added", 4, **AT | {"output_index": 1}, part=PART),
            event("response.output_text.delta", 5, **AT | {"output_index": 1}, delta="a"),
        ),
        (*STREAM[:5], *CALL),
        (*HEAD[:3], event("response.content_part.added", 3, **AT, part={"type": "refusal"})),
    ],
    ids=["nothing", "ended", "reasoned", "called", "refused"],
)
def test_nothing_else_is_kept(pieces: Sequence[bytes]) -> None:
    assert decoded(*pieces).beginning is None


def test_nothing_is_kept_unless_it_is_wanted() -> None:
    assert decoded(*STREAM[:5], keeps=False).beginning is None

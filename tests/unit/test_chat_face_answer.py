"""OpenAI's chat as a face: answers, whole and in chunks, as its clients expect them."""

import json
from typing import Any

import pytest

from adapters.dialect import Usage
from adapters.middle.answer import Choice, StopReason, WholeAnswer
from adapters.middle.conversation import Part, Reasoning, Refusal, Text, ToolCall
from adapters.middle.event import (
    Alive,
    Begun,
    Grown,
    MiddleEvent,
    PartBegun,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.middle.signature import with_signature
from adapters.openai.face import ChatFace
from tests.dialect_wire import ASKED_AT, SERVED, TARGET, chat, chat_message, chunks

USAGE = Usage(
    input_tokens=9, output_tokens=5, cached_tokens=3, cache_write_tokens=2, reasoning_tokens=1
)
TOLD = {
    "prompt_tokens": 9,
    "completion_tokens": 5,
    "total_tokens": 14,
    "prompt_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
LOOK = ToolCall(id="c1", name="look", arguments='{"a":1}')


def written(*parts: Part, stop: StopReason = "stop", **fields: Any) -> dict[str, Any]:
    answer = WholeAnswer(choices=(Choice(parts=parts, stop=stop),), **fields)
    found: dict[str, Any] = json.loads(ChatFace().write_answer(chat(), TARGET, answer))
    return found


def choice_of(*parts: Part, stop: StopReason = "stop") -> dict[str, Any]:
    (found,) = written(*parts, stop=stop)["choices"]
    assert isinstance(found, dict)
    return found


def streamed(*events: MiddleEvent, include_usage: bool = False) -> bytes:
    call = chat(stream=True, stream_options={"include_usage": include_usage})
    writer = ChatFace().event_writer(call, TARGET)
    return b"".join(writer.write(event) for event in events) + writer.close()


# --- whole answers ----------------------------------------------------------------------------------


def test_a_whole_answer_is_by_the_book() -> None:
    found = written(Text(text="Hi"), id="msg_1", created=7, usage=USAGE)
    assert found == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 7,
        "model": SERVED,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": TOLD,
    }


def test_an_answer_that_its_provider_gave_no_name_and_time_has_those_of_the_request() -> None:
    found = written(Text(text="Hi"))
    assert (found["id"], found["created"]) == ("chatcmpl-r1", ASKED_AT)
    assert "usage" not in found


def test_calls_have_no_content_beside_them_and_end_with_tool_calls() -> None:
    found = choice_of(LOOK, stop="stop")
    assert found["finish_reason"] == "tool_calls"
    assert found["message"]["content"] is None
    assert found["message"]["tool_calls"] == [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    ]


@pytest.mark.parametrize(
    ("parts", "stop", "reason"),
    [
        ((Text(text="a"),), "stop", "stop"),
        ((Text(text="a"),), "tool_calls", "stop"),
        ((LOOK,), "tool_calls", "tool_calls"),
        ((LOOK,), "length", "length"),
        ((), "content_filter", "content_filter"),
    ],
)
def test_the_finish_reason_follows_the_calls(
    parts: tuple[Part, ...], stop: StopReason, reason: str
) -> None:
    assert choice_of(*parts, stop=stop)["finish_reason"] == reason


def test_reasoning_is_not_content_and_comes_back_signed() -> None:
    message = choice_of(
        Reasoning(text="h", signature="c2ln"),
        Reasoning(redacted="x"),
        Text(text="a"),
        Text(text="b"),
    )["message"]
    assert (message["content"], message["reasoning_content"]) == ("ab", "h")
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "h", "signature": "c2ln", "index": 0},
        {"type": "reasoning.encrypted", "data": "x", "index": 1},
    ]


def test_unsigned_reasoning_has_no_details() -> None:
    assert "reasoning_details" not in choice_of(Reasoning(text="h"), Text(text="a"))["message"]


def test_a_refusal_is_not_content() -> None:
    message = choice_of(Refusal(text="No."))["message"]
    assert (message["content"], message["refusal"]) == (None, "No.")


def test_nothing_said_is_an_empty_text() -> None:
    assert choice_of()["message"]["content"] == ""


def test_the_signature_of_a_call_is_in_its_id() -> None:
    call = ToolCall(id="c1", name="look", signature="gemini:s")
    (found,) = choice_of(call)["message"]["tool_calls"]
    assert found["id"] == with_signature("c1", "gemini:s")


# --- chunks -----------------------------------------------------------------------------------------

TEXT_AND_CALLS: tuple[MiddleEvent, ...] = (
    Begun(id="msg_1", created=7),
    PartBegun(part=0, kind="reasoning"),
    Grown(part=0, text="h"),
    Grown(part=0, text="m"),
    Grown(part=0, signature="c2ln"),
    PartEnded(part=0),
    PartBegun(part=1, kind="text"),
    Grown(part=1, text="Hi"),
    PartEnded(part=1),
    Alive(),
    PartBegun(part=2, kind="call", id="c1", name="look"),
    Grown(part=2, signature="gemini:s"),
    Grown(part=2, text='{"a":'),
    Grown(part=2, text="1}"),
    PartEnded(part=2),
    PartBegun(part=3, kind="call", id="c2", name="wait"),
    PartEnded(part=3),
    UsageTold(USAGE),
    Stopped(stop="stop"),
)


def test_a_client_puts_text_reasoning_and_calls_together() -> None:
    assert chat_message(streamed(*TEXT_AND_CALLS)) == {
        "content": "Hi",
        "reasoning": "hm",
        "refusal": "",
        "details": [{"type": "reasoning.text", "text": "hm", "signature": "c2ln", "index": 0}],
        "calls": [(with_signature("c1", "gemini:s"), "look", '{"a":1}'), ("c2", "wait", "{}")],
        "finish": "tool_calls",
        "usage": None,
    }


def test_all_chunks_share_name_time_and_model() -> None:
    shared = {
        (found["id"], found["created"], found["model"])
        for found in chunks(streamed(*TEXT_AND_CALLS))
    }
    assert shared == {("msg_1", 7, SERVED)}


def test_the_first_delta_of_a_call_has_its_name_and_no_arguments() -> None:
    deltas = [
        found["choices"][0]["delta"]["tool_calls"][0]
        for found in chunks(streamed(*TEXT_AND_CALLS))
        if "tool_calls" in found["choices"][0]["delta"]
    ]
    assert deltas[0]["function"] == {"name": "look", "arguments": ""}
    assert deltas[1] == {"index": 0, "function": {"arguments": '{"a":'}}
    assert [delta["index"] for delta in deltas] == [0, 0, 0, 1, 1]


def test_usage_comes_in_one_last_chunk_if_it_was_asked_for() -> None:
    *others, last = chunks(streamed(*TEXT_AND_CALLS, include_usage=True))
    assert (last["choices"], last["usage"]) == ([], TOLD)
    assert all(found["usage"] is None and found["choices"] for found in others)


def test_usage_that_nobody_asked_for_is_nowhere() -> None:
    assert all(
        "usage" not in found and found["choices"] for found in chunks(streamed(*TEXT_AND_CALLS))
    )


def test_a_choice_ends_once() -> None:
    found = chat_message(streamed(Begun(), Stopped(stop="length"), Stopped(stop="stop")))
    assert found["finish"] == "length"


def test_every_choice_begins_with_its_role() -> None:
    events: list[MiddleEvent] = [Begun()]
    for choice in (1, 0):
        events += [
            PartBegun(choice=choice, part=0, kind="text"),
            Grown(choice=choice, part=0, text="a"),
            PartEnded(choice=choice, part=0),
            Stopped(choice=choice, stop="stop"),
        ]
    seen: set[int] = set()
    for found in chunks(streamed(*events)):
        (choice_,) = found["choices"]
        assert ("role" in choice_["delta"]) == (choice_["index"] not in seen)
        seen.add(choice_["index"])
    assert seen == {0, 1}


def test_refusals_and_redacted_thoughts_have_their_own_fields() -> None:
    found = chat_message(
        streamed(
            Begun(),
            PartBegun(part=0, kind="redacted"),
            Grown(part=0, text="x"),
            PartEnded(part=0),
            PartBegun(part=1, kind="refusal"),
            Grown(part=1, text="No."),
            PartEnded(part=1),
            Stopped(stop="content_filter"),
        )
    )
    assert (found["content"], found["refusal"], found["finish"]) == ("", "No.", "content_filter")
    assert found["details"] == [{"type": "reasoning.encrypted", "data": "x", "index": 0}]

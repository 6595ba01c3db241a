"""The Responses API as a face: answers, whole and as events, as OpenAI's own SDK reads them."""

from typing import Any

import pytest
from openai import APIError

from adapters.dialect import ToldError, Usage
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
from adapters.middle.signature import split_signature
from adapters.responses.face import ResponsesFace
from adapters.responses.seal import unseal
from adapters.responses.stream import ResponseWriter
from tests.dialect_wire import ASKED_AT, SERVED, TARGET
from tests.unit.responses_wire import (
    LOOK,
    MCP,
    PATCH,
    accumulated,
    asked,
    parts_told,
    told,
    whole,
    written,
)

USAGE = Usage(
    input_tokens=9, output_tokens=5, cached_tokens=3, cache_write_tokens=2, reasoning_tokens=1
)
LOOKS = ToolCall(id="c1", name="look", arguments='{"at":"a"}')


def error_told(message: str, code: str | None = None) -> ToldError:
    return ToldError(status=503, message=message, type="server_error", code=code)


def answered(*parts: Part, stop: StopReason = "stop", **fields: Any) -> dict[str, Any]:
    answer = WholeAnswer(choices=(Choice(parts=parts, stop=stop),), usage=USAGE)
    return whole(asked(**fields), answer)


def streamed(*events: MiddleEvent, **fields: Any) -> list[dict[str, Any]]:
    return told(written(asked(stream=True, **fields), [Begun(), *events]))


def names(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def output(*parts: Part, stop: StopReason = "stop", **fields: Any) -> list[dict[str, Any]]:
    """The output of a whole answer, which its stream must tell alike."""
    found: list[dict[str, Any]] = answered(*parts, stop=stop, **fields)["output"]
    *_, end = streamed(*parts_told(parts), Stopped(stop=stop), **fields)
    assert end["response"]["output"] == found
    return found


# --- the response -----------------------------------------------------------------------------------


def test_a_whole_answer_is_by_the_book() -> None:
    found = answered(Text(text="Hi"))
    assert (found["id"], found["object"], found["status"]) == ("resp_r1", "response", "completed")
    assert (found["model"], found["created_at"], found["error"]) == (SERVED, ASKED_AT, None)
    assert found["incomplete_details"] is None
    assert found["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 1},
        "total_tokens": 14,
    }
    assert found["output"] == [
        {
            "id": "msg_r1_0",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
        }
    ]


def test_a_response_repeats_what_was_asked() -> None:
    fields: dict[str, Any] = {
        "instructions": "Be kind.",
        "temperature": 0.5,
        "top_p": 0.9,
        "max_output_tokens": 77,
        "metadata": {"a": "b"},
        "parallel_tool_calls": False,
        "tool_choice": {"type": "function", "name": "look"},
        "user": "u",
        "prompt_cache_key": "k",
        "tools": [LOOK, PATCH, MCP],
    }
    found = answered(**fields)
    assert {name: found[name] for name in fields} == fields


def test_a_response_says_what_was_not_done() -> None:
    found = answered(store=True, truncation="auto", tools=[{"type": "web_search"}, LOOK])
    assert (found["store"], found["truncation"], found["tools"]) == (False, "disabled", [LOOK])
    assert (found["background"], found["previous_response_id"]) == (False, None)


def test_a_response_has_its_defaults_where_nothing_was_asked() -> None:
    found = answered()
    assert found["text"] == {"format": {"type": "text"}}
    assert found["reasoning"] == {"effort": None, "summary": None}
    assert (found["tools"], found["tool_choice"]) == ([], "auto")
    assert (found["parallel_tool_calls"], found["metadata"]) == (True, {})
    found = answered(text={"verbosity": "low"}, reasoning={"effort": "high"})
    assert found["text"] == {"format": {"type": "text"}, "verbosity": "low"}
    assert found["reasoning"] == {"effort": "high", "summary": None}


@pytest.mark.parametrize(
    ("stop", "status", "details"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_why_it_stopped_is_the_status_of_the_response_and_of_its_last_item(
    stop: StopReason, status: str, details: dict[str, str] | None
) -> None:
    found = answered(Text(text="a"), LOOKS, stop=stop)
    assert (found["status"], found["incomplete_details"]) == (status, details)
    assert [item["status"] for item in found["output"]] == ["completed", status]
    events = streamed(*parts_told([Text(text="a"), LOOKS]), Stopped(stop=stop))
    assert events[-1]["type"] == f"response.{status}"
    assert events[-1]["response"]["incomplete_details"] == details
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == found["output"]


# --- items ------------------------------------------------------------------------------------------


def test_words_that_follow_each_other_are_one_message() -> None:
    (message,) = output(Text(text="a"), Refusal(text="no"), Text(text="b"))
    assert [part["type"] for part in message["content"]] == [
        "output_text",
        "refusal",
        "output_text",
    ]


def test_an_empty_text_is_nothing() -> None:
    assert [item["type"] for item in output(Text(text=""), LOOKS)] == ["function_call"]


def test_words_after_a_call_are_a_message_of_their_own() -> None:
    found = output(Text(text="a"), LOOKS, Text(text="b"))
    assert [item["id"] for item in found] == ["msg_r1_0", "fc_r1_1", "msg_r1_2"]


def test_a_call_keeps_its_id_with_its_signature_in_it() -> None:
    signed = ToolCall(id="c1", name="look", arguments='{"at":"a"}', signature="sig")
    plain, kept = output(LOOKS, signed)
    assert (plain["call_id"], plain["name"], plain["arguments"]) == ("c1", "look", '{"at":"a"}')
    assert split_signature(kept["call_id"]) == ("c1", "sig")


def test_a_call_without_arguments_has_an_empty_object() -> None:
    (call,) = output(ToolCall(id="c1", name="now"))
    assert call["arguments"] == "{}"


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ('{"input":"say \\"a\\"\\n"}', 'say "a"\n'),
        ('{"patch":"a"}', '{"patch":"a"}'),
        ('{"input":"cut', '{"input":"cut'),
        ("{}", ""),
    ],
)
def test_a_custom_tool_is_called_with_its_input(arguments: str, wanted: str) -> None:
    (call,) = output(ToolCall(id="c1", name="apply_patch", arguments=arguments), tools=[PATCH])
    assert (call["type"], call["name"], call["input"]) == (
        "custom_tool_call",
        "apply_patch",
        wanted,
    )
    assert call["id"] == "ctc_r1_0"
    assert "arguments" not in call


def test_a_tool_of_a_namespace_is_called_by_the_clients_name_for_it() -> None:
    mine, theirs = output(
        LOOKS, ToolCall(id="c2", name="mcp__files__look", arguments='{"a":1}'), tools=[LOOK, MCP]
    )
    assert "namespace" not in mine
    assert (theirs["namespace"], theirs["name"]) == ("mcp__files", "look")


@pytest.mark.parametrize(
    ("reasoning", "summary"),
    [
        (Reasoning(text="hm"), ["hm"]),
        (Reasoning(text="hm", signature="sig"), ["hm"]),
        (Reasoning(signature="sig"), []),
        (Reasoning(redacted="data"), []),
    ],
)
def test_reasoning_is_told_as_a_summary_with_what_its_provider_wants_back(
    reasoning: Reasoning, summary: list[str]
) -> None:
    item, _ = output(reasoning, Text(text="a"))
    assert (item["type"], item["id"]) == ("reasoning", "rs_r1_0")
    assert [part["text"] for part in item["summary"]] == summary
    text = "".join(summary)
    assert unseal(text, None, item["encrypted_content"]) == reasoning


def test_reasoning_that_says_and_keeps_nothing_is_left_out() -> None:
    assert [item["type"] for item in output(Reasoning(), Text(text="a"))] == ["message"]


# --- events -----------------------------------------------------------------------------------------


def test_a_text_is_told_by_the_book() -> None:
    events = streamed(*parts_told([Text(text="abcde")]), UsageTold(USAGE), Stopped(stop="stop"))
    assert names(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in events[4:6]] == ["abc", "de"]
    places = {(event["item_id"], event["content_index"]) for event in events[3:8]}
    assert places == {("msg_r1_0", 0)}
    assert events[0]["response"]["status"] == "in_progress"
    assert events[-1]["response"]["usage"]["total_tokens"] == 14
    assert events[2]["item"]["content"] == []


def test_a_call_is_told_by_the_book() -> None:
    events = streamed(*parts_told([LOOKS], cut=6), Stopped(stop="tool_calls"))
    assert names(events)[2:-1] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    added = events[2]["item"]
    assert (added["name"], added["arguments"], added["status"]) == ("look", "", "in_progress")


def test_a_custom_tools_input_is_told_when_it_is_whole() -> None:
    call = ToolCall(id="c1", name="apply_patch", arguments='{"input":"a\\nb"}')
    events = streamed(*parts_told([call]), Stopped(stop="tool_calls"), tools=[PATCH])
    assert names(events)[2:-1] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
    ]
    assert (events[2]["item"]["input"], events[3]["delta"]) == ("", "a\nb")


def test_reasoning_is_told_by_the_book() -> None:
    thought = Reasoning(text="hmm", signature="sig")
    events = streamed(*parts_told([thought]), Stopped(stop="stop"))
    assert names(events)[2:-1] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert events[2]["item"]["summary"] == []


def test_a_refusal_is_told_by_the_book() -> None:
    events = streamed(*parts_told([Refusal(text="no")]), Stopped(stop="stop"))
    assert names(events)[3:7] == [
        "content_part.added",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
    ]


def test_calls_side_by_side_keep_their_order_and_are_each_done_once() -> None:
    events = streamed(
        PartBegun(part=0, kind="call", id="a", name="look"),
        PartBegun(part=1, kind="call", id="b", name="look"),
        Grown(part=1, text='{"at":'),
        Grown(part=0, text="{}"),
        Grown(part=1, text='"b"}'),
        PartEnded(part=0),
        PartEnded(part=1),
        Stopped(stop="tool_calls"),
    )
    found = events[-1]["response"]["output"]
    assert [(item["call_id"], item["arguments"]) for item in found] == [
        ("a", "{}"),
        ("b", '{"at":"b"}'),
    ]
    added = [event["output_index"] for event in events if "item.added" in event["type"]]
    done = [event["output_index"] for event in events if "item.done" in event["type"]]
    assert (added, done) == ([0, 1], [0, 1])


def test_other_choices_and_signs_of_life_are_not_told() -> None:
    events = streamed(
        Alive(),
        PartBegun(choice=1, part=0, kind="text"),
        Grown(choice=1, part=0, text="b"),
        PartEnded(choice=1, part=0),
        Stopped(choice=1, stop="length"),
        Stopped(stop="stop"),
    )
    assert names(events) == ["created", "in_progress", "completed"]


def test_a_stream_whose_provider_did_not_say_that_it_was_whole_is_incomplete() -> None:
    *_, end = streamed(PartBegun(part=0, kind="text"), Grown(part=0, text="a"))
    assert end["type"] == "response.incomplete"
    assert end["response"]["incomplete_details"] is None
    assert end["response"]["output"][0]["status"] == "incomplete"


def test_a_stream_ends_once() -> None:
    writer = ResponsesFace().event_writer(asked(), TARGET)
    assert writer.close()
    assert writer.close() == b""


def test_a_failure_is_told_both_ways_with_what_was_whole_by_then() -> None:
    writer = ResponseWriter(asked(), TARGET)
    stream = b"".join([writer.write(event) for event in parts_told([Text(text="a"), LOOKS])])
    events = told(stream + writer.fail(error_told("Too much.", "rate_limit_exceeded")))
    error, failed = events[-2:]
    assert (error["type"], error["code"], error["message"]) == (
        "error",
        "rate_limit_exceeded",
        "Too much.",
    )
    assert error["error"]["message"] == "Too much."
    assert failed["type"] == "response.failed"
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "rate_limit_exceeded", "message": "Too much."}
    assert [item["type"] for item in failed["response"]["output"]] == ["message"]
    assert writer.close() == writer.fail(error_told("again")) == b""


def test_the_sdk_puts_together_what_was_said() -> None:
    parts: list[Part] = [
        Reasoning(text="hm", signature="s"),
        Text(text="Hello "),
        Text(text="you"),
        LOOKS,
    ]
    events = [Begun(), *parts_told(parts), Stopped(stop="tool_calls"), UsageTold(USAGE)]
    found = accumulated(written(asked(tools=[LOOK]), events))
    assert found.output_text == "Hello you"
    assert [item.type for item in found.output] == ["reasoning", "message", "function_call"]
    assert found.usage is not None
    assert found.usage.output_tokens_details.reasoning_tokens == 1


def test_the_sdk_raises_on_a_failure_in_the_middle() -> None:
    writer = ResponseWriter(asked(), TARGET)
    stream = writer.write(Begun()) + writer.fail(error_told("Too much."))
    with pytest.raises(APIError, match="Too much"):
        accumulated(stream)

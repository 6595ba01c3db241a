"""Every type of event that a dialect has, and types that none has, through every face."""

import json
from collections.abc import Iterable
from typing import Any, get_args

import botocore.session  # type: ignore[import-untyped]
import pytest
from anthropic.types import RawMessageStreamEvent, beta
from openai.types.chat import ChatCompletionChunk
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from adapters.dialect import EventKind, FaceName
from adapters.registry import dialect_of_call
from tests.dialect_wire import SERVED, frames, sent, stream
from tests.features.asking import TOOLS
from tests.features.clients import FACES, Heard, answer_of, call_of, heard
from tests.features.columns import Column, columns
from tests.features.events import (
    MARK,
    on_wire,
    story,
    strange_answer,
    with_strange_fields,
    with_strangers,
)
from tests.features.scenes import ModelsCall, Scene

PAIRS = [(face, column) for face in FACES for column in columns()]
EVERY = pytest.mark.parametrize("column", [pytest.param(one, id=one.name) for one in columns()])
FACE = pytest.mark.parametrize("face", FACES)
NATIVE = {("chat", "openai"), ("messages", "anthropic")}
ANSWER = Scene(
    thought="Hm, well.",
    text="Good day.",
    calls=(ModelsCall("callabc01", "get_weather", {"city": "Rome"}),),
    stop="tool_calls",
)
# Google's reference has them in a union of `Part`; nobody publishes it as code that we have.
GEMINI_PARTS = {
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
}
COHERE_TYPES = {
    "message-start",
    "content-start",
    "content-delta",
    "content-end",
    "tool-plan-delta",
    "tool-call-start",
    "tool-call-delta",
    "tool-call-end",
    "citation-start",
    "citation-end",
    "message-end",
    "debug",
}


def types_in(union: Any) -> set[str]:
    """The names by which the members of an SDK's union are told apart."""
    (first, *others) = get_args(union)
    members = get_args(first) or (first, *others)
    return {get_args(member.model_fields["type"].annotation)[0] for member in members}


def at(events: Iterable[Any], *path: str) -> set[str]:
    """The values, or else the names of the fields, that stand at a path in these events."""
    found: list[Any] = list(events)
    for name in path:
        found = [one[name] for one in found if isinstance(one, dict) and name in one]
    return {name for one in found for name in (one if isinstance(one, dict) else [one])}


def test_anthropics_events_are_all_there_and_are_what_its_sdk_reads() -> None:
    events = story("anthropic")
    assert at(events, "type") == types_in(RawMessageStreamEvent) | {"ping"}
    assert at(events, "delta", "type") == types_in(beta.BetaRawContentBlockDelta)
    blocks = types_in(beta.beta_raw_content_block_start_event.ContentBlock)
    assert at(events, "content_block", "type") == blocks
    reader: TypeAdapter[Any] = TypeAdapter(beta.BetaRawMessageStreamEvent)
    for event in events:
        if event["type"] != "ping":
            reader.validate_python(event)


def test_bedrocks_events_are_all_there_as_its_service_model_has_them() -> None:
    service = botocore.session.get_session().get_service_model("bedrock-runtime")
    members = service.operation_model("ConverseStream").output_shape.members["stream"].members
    events = story("bedrock")
    # Exceptions end a stream; `tests/unit/test_bedrock_stream.py` has each of them.
    assert at(events, "event") == {name for name in members if not name.endswith("Exception")}
    for path, shape in (("start", "ContentBlockStart"), ("delta", "ContentBlockDelta")):
        assert at(events, "payload", path) == set(service.shape_for(shape).members)
    thoughts = set(service.shape_for("ReasoningContentBlockDelta").members)
    assert at(events, "payload", "delta", "reasoningContent") == thoughts
    for event in events:
        assert set(event["payload"]) <= set(members[event["event"]].members)


def test_googles_parts_and_coheres_events_are_all_there() -> None:
    candidates = [one for event in story("gemini") for one in event.get("candidates", ())]
    parts = [part for one in candidates for part in one.get("content", {}).get("parts", ())]
    assert at(parts) - {"thought", "thoughtSignature"} == GEMINI_PARTS
    assert at(story("cohere"), "type") == COHERE_TYPES


def test_openais_deltas_are_all_there() -> None:
    events = story("openai")
    for event in events:
        ChatCompletionChunk.model_validate(event)
    deltas = [choice["delta"] for event in events for choice in event["choices"]]
    known = ChatCompletionChunk.model_fields["choices"].annotation
    (choice,) = get_args(known)
    assert at(deltas) >= set(choice.model_fields["delta"].annotation.model_fields)
    assert at(events) >= set(ChatCompletionChunk.model_fields)


def test_the_events_of_responses_are_all_there_and_are_what_the_sdk_reads() -> None:
    events = story("responses")
    assert at(events, "type") == types_in(ResponseStreamEvent)
    reader: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for event in events:
        reader.validate_python(event)


def told(face: FaceName, column: Column, body: bytes) -> Heard:
    """What the client hears of a stream, in which nothing may have been a fault."""
    call = call_of(face, TOOLS[face], streamed=True)
    target = column.endpoint.target
    events = stream(column.endpoint.dialect_of(call), call, [body], target)
    faults = {EventKind.MALFORMED, EventKind.ERROR}
    assert not [event for event in events if event.kind in faults]
    return heard(column, call, body)


@FACE
@EVERY
def test_every_event_is_read_or_passed_over(face: FaceName, column: Column) -> None:
    found = told(face, column, on_wire(column.form, story(column.form)))
    assert (found.text, found.thought, found.stop) == ("Good day.", "Hm, well.", "tool_calls")
    assert found.calls == [("get_weather", {"city": "Rome"})]
    assert (found.asked, found.answered, found.cached) == (20, 9, 4)


# A client of OpenAI's chat at a provider of the same gets them as they are.
@pytest.mark.parametrize(
    ("face", "column"),
    [
        pytest.param(face, column, id=f"{face}-{column.name}")
        for face, column in PAIRS
        if (face, column.form) != ("chat", "openai")
    ],
)
def test_unknown_events_change_nothing_wherever_they_stand(face: FaceName, column: Column) -> None:
    events = story(column.form)
    expected = told(face, column, on_wire(column.form, events))
    for strange in with_strangers(column.form, events):
        assert told(face, column, on_wire(column.form, strange)) == expected


@FACE
@EVERY
def test_unknown_fields_change_nothing(face: FaceName, column: Column) -> None:
    events = story(column.form)
    expected = told(face, column, on_wire(column.form, events))
    strange = with_strange_fields(events)
    assert strange != events
    assert told(face, column, on_wire(column.form, strange)) == expected


@FACE
@EVERY
def test_a_whole_answer_may_hold_unknown_things_too(face: FaceName, column: Column) -> None:
    call = call_of(face, TOOLS[face])
    body = ANSWER.written(column.form, streamed=False)
    strange = strange_answer(column.form, body)
    assert heard(column, call, strange) == heard(column, call, body)
    passed = answer_of(column, call, strange)
    assert (MARK in str(passed)) is ((face, column.form) in NATIVE)


@pytest.mark.parametrize(("face", "form"), sorted(NATIVE))
def test_where_bytes_pass_through_so_do_unknown_events_and_fields(
    face: FaceName, form: str
) -> None:
    (column, *_) = [one for one in columns() if one.form == form]
    call = call_of(face, streamed=True)
    dialect = column.endpoint.dialect_of(call)
    events = with_strange_fields(story(column.form))
    for strange in with_strangers(column.form, events):
        body = on_wire(column.form, strange)
        passed = frames(stream(dialect, call, [body], column.endpoint.target))
        assert MARK.encode() in passed
        assert passed.count(b'"brandNew"') >= len(events)
        assert passed.count(json.dumps(MARK).encode()) == body.count(json.dumps(MARK).encode())


@pytest.mark.parametrize("end", range(4), ids=lambda end: story("responses")[end - 4]["type"])
def test_responses_pass_through_to_a_provider_that_has_them(end: int) -> None:
    events = story("responses")
    call = call_of("responses", streamed=True)
    dialect = dialect_of_call(call, "openai", has_responses=True)
    before, last = with_strange_fields(events[:-4]), events[end - 4]
    stranger = {"type": MARK, "sequence_number": 0, "note": 1}
    for place in range(1, len(before) + 1) if end == 0 else [1]:
        said = [*before[:place], stranger, *before[place:], last]
        body = b"".join(_named(event) for event in said)
        found = stream(dialect, call, [body], columns()[0].endpoint.target)
        failed = [event for event in found if event.kind is EventKind.ERROR]
        assert bool(failed) is (last["type"] in {"error", "response.failed"})
        told = [json.loads(event.data) for event in sent(frames(found))]
        assert told == [_served(event) for event in (said[:-1] if failed else said)]


def _named(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def _served(event: dict[str, Any]) -> dict[str, Any]:
    """An event as a client gets it: with the gateway's name of the model."""
    if "response" not in event:
        return event
    return {**event, "response": {**event["response"], "model": SERVED}}

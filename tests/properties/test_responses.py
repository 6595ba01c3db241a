"""What holds for every answer in the Responses API: a stream and the whole tell the same."""

import json
from collections.abc import Sequence
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.bridge import Bridge
from adapters.dialect import Usage
from adapters.middle.answer import Choice, StopReason, WholeAnswer
from adapters.middle.assembly import assembled
from adapters.middle.conversation import Part, Reasoning, Refusal, Text, ToolCall
from adapters.middle.event import (
    Begun,
    MiddleEvent,
    PartEnded,
    Stopped,
    UsageTold,
)
from adapters.openai.upstream import OpenAIUpstream
from adapters.responses.face import ResponsesFace
from tests.conftest import SIZE
from tests.dialect_wire import TARGET, frames, stream
from tests.unit.responses_wire import (
    LOOK,
    MCP,
    PATCH,
    STOPS,
    accumulated,
    asked,
    part_told,
    read,
    told,
    whole,
    written,
)

WORDS = st.text(st.sampled_from('ab \n"{}ü🙂'), max_size=6)
SIGNATURES = st.none() | st.sampled_from(["sig", "gemini:AA=="])
NAMES = st.sampled_from(["look", "apply_patch", "mcp__files__look", "unknown"])
ARGUMENTS = st.dictionaries(st.sampled_from(["at", "input"]), WORDS, max_size=2).map(json.dumps)
PARTS = st.one_of(
    WORDS.map(lambda text: Text(text=text)),
    WORDS.map(lambda text: Refusal(text=text)),
    st.builds(Reasoning, text=WORDS, signature=SIGNATURES),
    st.builds(Reasoning, redacted=WORDS, signature=SIGNATURES),
    st.builds(
        ToolCall,
        id=st.just(""),
        name=NAMES,
        arguments=ARGUMENTS,
        signature=SIGNATURES,
    ),
)
USAGES = st.none() | st.builds(
    Usage, input_tokens=st.integers(0, 99), output_tokens=st.integers(0, 99)
)


def _told_apart(parts: Sequence[Part]) -> list[Part]:
    """Give every call an id of its own."""
    return [
        msgspec.structs.replace(part, id=f"c{at}") if isinstance(part, ToolCall) else part
        for at, part in enumerate(parts)
    ]


SAID = st.lists(PARTS, max_size=5).map(_told_apart)
ANSWERS = st.builds(
    lambda parts, stop, usage, created: WholeAnswer(
        choices=(Choice(parts=tuple(parts), stop=stop),), usage=usage, created=created
    ),
    SAID,
    st.sampled_from(STOPS),
    USAGES,
    st.none() | st.integers(0, 2**31),
)
CALL = asked(tools=[LOOK, PATCH, MCP])


def story(answer: WholeAnswer, *, cut: int) -> list[MiddleEvent]:
    (choice,) = answer.choices
    parts = [
        event for at, part in enumerate(choice.parts) for event in part_told(part, at, cut=cut)
    ]
    usage = [] if answer.usage is None else [UsageTold(answer.usage)]
    return [Begun(created=answer.created), *parts, Stopped(stop=choice.stop), *usage]


@given(ANSWERS, st.integers(1, 4))
def test_a_stream_ends_with_the_response_that_the_whole_answer_is(
    answer: WholeAnswer, cut: int
) -> None:
    *_, end = told(written(CALL, story(answer, cut=cut)))
    assert end["response"] == whole(CALL, answer)


@given(ANSWERS, st.integers(1, 4))
def test_the_pieces_of_a_stream_add_up_to_its_items(answer: WholeAnswer, cut: int) -> None:
    events = told(written(CALL, story(answer, cut=cut)))
    output = events[-1]["response"]["output"]
    done = {e["output_index"]: e["item"] for e in events if e["type"].endswith("item.done")}
    assert [done[index] for index in range(len(output))] == output
    for index, item in enumerate(output):
        pieces = [e["delta"] for e in events if "delta" in e and e["output_index"] == index]
        assert "".join(pieces) == said(item)


def said(item: dict[str, Any]) -> str:
    match item["type"]:
        case "message":
            return "".join([part.get("text", part.get("refusal")) for part in item["content"]])
        case "reasoning":
            return "".join([part["text"] for part in item["summary"]])
    found = item.get("arguments", item.get("input"))
    assert isinstance(found, str)
    return found


@settings(max_examples=20 * SIZE)
@given(SAID, st.sampled_from(["stop", "tool_calls"]))
def test_the_sdk_ends_with_the_same_response(parts: list[Part], stop: StopReason) -> None:
    answer = WholeAnswer(choices=(Choice(parts=tuple(parts), stop=stop),))
    found = accumulated(written(CALL, story(answer, cut=2)))
    wanted = [item["id"] for item in whole(CALL, answer)["output"]]
    assert [item.id for item in found.output] == wanted


@given(SAID)
def test_an_answer_sent_back_as_input_is_what_it_was(parts: list[Part]) -> None:
    answer = WholeAnswer(choices=(Choice(parts=tuple(parts), stop="stop"),))
    output = whole(CALL, answer)["output"]
    found = read([*output, {"role": "user", "content": "Go on."}], tools=[LOOK, PATCH, MCP])
    turns = [turn for turn in found.turns if turn.role == "assistant"]
    kept = [_without_id(part) for turn in turns for part in turn.parts]
    assert kept == [_sent(part) for part in parts if _says_something(part)]


def _says_something(part: Part) -> bool:
    match part:
        case Text() | Refusal():
            return bool(part.text)
        case Reasoning():
            return bool(part.text or part.signature or part.redacted is not None)
    return True


def _sent(part: Part) -> Part:
    """A part as a client can send it back: a custom tool's input keeps its words, not its JSON."""
    if isinstance(part, ToolCall) and part.name == "apply_patch":
        arguments = json.loads(part.arguments)
        text = arguments.get("input", part.arguments if arguments else "")
        return ToolCall(
            id=part.id,
            name=part.name,
            arguments=_compact({"input": text}),
            signature=part.signature,
        )
    return part


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _without_id(part: Part) -> Part:
    if isinstance(part, Reasoning):
        return Reasoning(text=part.text, signature=part.signature, redacted=part.redacted)
    return part


@given(st.lists(st.tuples(NAMES, st.lists(WORDS, max_size=3)), min_size=1, max_size=3), st.data())
def test_calls_that_grow_side_by_side_end_as_their_assembly(
    calls: list[tuple[str, list[str]]], data: st.DataObject
) -> None:
    events = [Begun(), *_shuffled(calls, data), Stopped(stop="tool_calls")]
    *_, end = told(written(CALL, events))
    assert end["response"] == whole(CALL, assembled(events))


def _shuffled(calls: Sequence[tuple[str, list[str]]], data: st.DataObject) -> list[MiddleEvent]:
    """Begin all calls in order, let them grow in any order, and end them in any."""
    stories = [
        part_told(ToolCall(id=f"c{at}", name=name, arguments="".join(words) or "{}"), at, cut=2)
        for at, (name, words) in enumerate(calls)
    ]
    events = [story[0] for story in stories]
    waiting = [story[1:-1] for story in stories]
    while any(waiting):
        at = data.draw(st.sampled_from([at for at, rest in enumerate(waiting) if rest]))
        events.append(waiting[at].pop(0))
    order = data.draw(st.permutations(range(len(calls))))
    return [*events, *[PartEnded(part=at) for at in order]]


@given(st.lists(WORDS.filter(bool), min_size=1, max_size=4), st.booleans())
def test_a_bridged_stream_whole_or_byte_by_byte_ends_as_its_twin(
    words: list[str], with_usage: bool
) -> None:
    bridge = Bridge(ResponsesFace(), OpenAIUpstream())
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5} if with_usage else None
    data = _chunks(words, usage)
    one = frames(stream(bridge, asked(stream=True), [data]))
    assert frames(stream(bridge, asked(stream=True), [bytes([byte]) for byte in data])) == one
    message = {"role": "assistant", "content": "".join(words)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({"id": "x", "created": 7, "choices": [choice], "usage": usage}).encode()
    *_, end = told(one)
    assert end["response"] == json.loads(bridge.decode_answer(asked(), TARGET, body).body)


def _chunks(words: Sequence[str], usage: dict[str, int] | None) -> bytes:
    shared = {"id": "x", "created": 7}
    choices: list[dict[str, Any]] = [{"index": 0, "delta": {"content": word}} for word in words]
    choices.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    said = [{**shared, "choices": [choice]} for choice in choices]
    if usage is not None:
        said.append({**shared, "choices": [], "usage": usage})
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in said]
    return "".join([*lines, "data: [DONE]\n\n"]).encode()

"""What holds for every answer in Bedrock's dialect, and for every conversation said to it."""

import base64
import json
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from adapters.anthropic.face import MessagesFace
from adapters.bedrock import BedrockUpstream
from adapters.bridge import Bridge
from adapters.middle.answer import WholeAnswer
from adapters.middle.assembly import assembled
from adapters.middle.conversation import (
    Conversation,
    Part,
    Reasoning,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from adapters.middle.event import Ended, Grown, PartBegun, PartEnded, Stopped
from adapters.openai.face import ChatFace
from tests.dialect_wire import (
    chat,
    chat_message,
    frames,
    function,
    message,
    messages,
    stream,
    whole_chat_message,
)
from tests.unit.bedrock_wire import (
    CLAUDE,
    LLAMA,
    NOVA,
    START,
    TARGET,
    UPSTREAM,
    call,
    end_of,
    event,
    metadata,
    piece,
    read,
    sent,
    stop,
    thought,
    usage,
    whole,
)
from tests.unit.gemini_wire import conversation, tool

WORDS = st.text(st.sampled_from('ab \n"{}ü🙂'), min_size=1, max_size=6)
PIECES = st.lists(WORDS, min_size=1, max_size=3)
REASONS = st.sampled_from(["end_turn", "max_tokens", "tool_use", "guardrail_intervened"])
ARGUMENTS = st.sampled_from(["", "{}", '{"a":1}', '{"a":{"b":"ü"}}'])


class Told(msgspec.Struct):
    """One answer both ways: the frames of its stream, and the whole of it."""

    frames: list[bytes]
    body: bytes


class Block(msgspec.Struct):
    """One block both ways."""

    frames: list[bytes]
    content: dict[str, Any]


@st.composite
def blocks(draw: st.DrawFn, index: int) -> Block:
    match draw(st.sampled_from(["text", "thought", "secret", "call", "unknown"])):
        case "text":
            said = draw(PIECES)
            frames = [piece(index, text=words) for words in said]
            content: dict[str, Any] = {"text": "".join(said)}
        case "thought":
            said = draw(PIECES)
            frames = [thought(index, text=words) for words in said]
            frames.append(thought(index, signature=f"sig{index}"))
            inner = {"text": "".join(said), "signature": f"sig{index}"}
            content = {"reasoningContent": {"reasoningText": inner}}
        case "secret":
            secret = base64.b64encode(draw(st.binary(min_size=1, max_size=5))).decode()
            frames = [thought(index, redactedContent=secret)]
            content = {"reasoningContent": {"redactedContent": secret}}
        case "call":
            text = draw(ARGUMENTS)
            cut = draw(st.integers(0, len(text)))
            use = {"toolUseId": f"c{index}", "name": "add"}
            content = {"toolUse": {**use, "input": json.loads(text or "{}")}}
            return Block([call(index, f"c{index}", "add", text[:cut], text[cut:])], content)
        case _:
            frames = [event("somethingNew", contentBlockIndex=index)]
            content = {"somethingNew": {"a": 1}}
    return Block([*frames, end_of(index)], content)


@st.composite
def answers(draw: st.DrawFn) -> Told:
    found = [draw(blocks(index)) for index in range(draw(st.integers(0, 3)))]
    reason, counts = draw(REASONS), {"cacheReadInputTokens": draw(st.integers(0, 99))}
    frames = [START, *(one for block in found for one in block.frames)]
    body = whole(*(block.content for block in found), reason=reason, usage=usage(**counts))
    return Told([*frames, stop(reason), metadata(**counts)], body)


def plainly(answer: WholeAnswer) -> WholeAnswer:
    """The answer with the JSON of its calls in one spelling."""
    choices = tuple(
        msgspec.structs.replace(choice, parts=tuple(_plain(part) for part in choice.parts))
        for choice in answer.choices
    )
    return msgspec.structs.replace(answer, choices=choices)


def _plain(part: Part) -> Part:
    if not isinstance(part, ToolCall):
        return part
    return msgspec.structs.replace(part, arguments=json.dumps(json.loads(part.arguments)))


@given(answers(), st.data())
def test_a_stream_is_the_same_however_its_bytes_are_cut(told: Told, data: st.DataObject) -> None:
    body = b"".join(told.frames)
    found = read([body])
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)), max_size=5)))
    places = [0, *cuts, len(body)]
    assert read([body[start:last] for start, last in pairwise(places)]) == found
    assert read([body[place : place + 1] for place in range(len(body))]) == found


@given(answers())
def test_a_stream_and_a_whole_answer_are_the_same_message(told: Told) -> None:
    events = read(told.frames)
    assert isinstance(events[-1], Ended)
    assert plainly(assembled(events)) == plainly(UPSTREAM.decode(conversation(), told.body))


@given(answers())
def test_parts_are_numbered_without_gaps_and_never_overlap(told: Told) -> None:
    open_part: int | None = None
    begun = 0
    for found in read(told.frames):
        match found:
            case PartBegun():
                assert open_part is None
                assert found.part == begun
                open_part, begun = found.part, begun + 1
            case Grown():
                assert found.part == open_part
            case PartEnded():
                assert found.part == open_part
                open_part = None
            case Stopped():
                assert open_part is None


@given(answers(), st.data())
def test_a_stream_that_is_cut_anywhere_before_its_end_never_ends(
    told: Told, data: st.DataObject
) -> None:
    body = b"".join(told.frames)
    events = read([body[: data.draw(st.integers(0, len(body) - 1))]])
    assert not any(isinstance(found, Ended) for found in events)
    assert read([body])[: len(events)] == events


CHAT = Bridge(ChatFace(), BedrockUpstream())
MESSAGES = Bridge(MessagesFace(), BedrockUpstream())
TOOLS = [function("add")]


@given(answers())
def test_a_chat_client_gets_one_message_streamed_or_whole(told: Told) -> None:
    asked = chat(tools=TOOLS, stream=True, stream_options={"include_usage": True})
    streamed = chat_message(frames(stream(CHAT, asked, told.frames, TARGET)))
    answer = whole_chat_message(CHAT.decode_answer(chat(tools=TOOLS), TARGET, told.body).body)
    for found in (streamed, answer):
        found["calls"] = [(*head, json.loads(text)) for *head, text in found["calls"]]
    assert streamed["usage"]["prompt_tokens_details"]["cached_tokens"] <= 99
    for member in ("content", "reasoning", "calls", "finish", "usage"):
        assert streamed[member] == answer[member], member


@given(answers())
def test_a_client_of_messages_gets_one_message_streamed_or_whole(told: Told) -> None:
    streamed = message(frames(stream(MESSAGES, messages(stream=True), told.frames, TARGET)))
    answer = json.loads(MESSAGES.decode_answer(messages(), TARGET, told.body).body)
    for member in ("content", "stop_reason", "usage"):
        assert streamed[member] == answer[member], member


IDS = st.sampled_from(["c1", "call:1|x", "y" * 70, ""])
TEXTS = st.builds(lambda text: Text(text=text), st.sampled_from(["", " ", "Hi", "Bye "]))
CALLS = st.builds(lambda name: ToolCall(id=name, name="add", arguments='{"a":1}'), IDS)
RESULTS = st.builds(lambda name: ToolResult(call_id=name, name="add", parts=(Text(text="1"),)), IDS)
THOUGHTS = st.builds(
    lambda signature: Reasoning(text="Hm", signature=signature),
    st.sampled_from([None, "s", "bedrock:s", "gemini:s"]),
)
USERS = st.builds(lambda parts: Turn("user", tuple(parts)), st.lists(TEXTS | RESULTS, max_size=3))
MODELS = st.builds(
    lambda parts: Turn("assistant", tuple(parts)),
    st.lists(TEXTS | CALLS | THOUGHTS, max_size=3),
)
CONVERSATIONS = st.builds(
    lambda turns, tools: Conversation(turns=tuple(turns), tools=tools),
    st.lists(USERS | MODELS, max_size=5),
    st.sampled_from([(), (tool(),)]),
)


@given(CONVERSATIONS, st.sampled_from([CLAUDE, NOVA, LLAMA]))
def test_every_conversation_is_said_as_bedrock_demands_it(asked: Conversation, name: str) -> None:
    said = sent(asked, name)
    roles = [message["role"] for message in said["messages"]]
    assert roles == ["user" if place % 2 == 0 else "assistant" for place in range(len(roles))]
    blocks = [block for message in said["messages"] for block in message["content"]]
    assert all(message["content"] for message in said["messages"])
    assert all(block["text"].strip() for block in blocks if "text" in block)
    has_calls = any("toolUse" in block or "toolResult" in block for block in blocks)
    assert "toolConfig" in said or not has_calls
    given_calls = [
        part for turn in asked.turns for part in turn.parts if isinstance(part, ToolCall)
    ]
    assert sum("toolUse" in block for block in blocks) == len(given_calls)

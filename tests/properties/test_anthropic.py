"""Anthropic behind and in front of the gateway: streams in any pieces, whole twins, and there and back.

An answer is made up as blocks. Written as a stream, cut anywhere, and written as a whole answer, it must be
the same message to a client in the end, through a bridge as well as natively. A request that goes through
the middle and back must mean what it meant.
"""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from adapters.anthropic.face import MessagesFace
from adapters.anthropic.request import decode_call as decode_messages
from adapters.anthropic.upstream import AnthropicUpstream
from adapters.dialect import FaceName
from adapters.middle.conversation import (
    Conversation,
    Media,
    Part,
    Reasoning,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from adapters.openai.face import ChatFace
from adapters.openai.request import decode_call as decode_chat
from adapters.openai.upstream import OpenAIUpstream
from adapters.registry import dialect_for
from tests.dialect_wire import (
    TARGET,
    chat,
    chat_message,
    frames,
    message,
    messages,
    named,
    stream,
    target,
    whole_chat_message,
)

words = st.text(min_size=1, max_size=8)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
inputs = st.dictionaries(words, values, max_size=3)
counts = st.integers(0, 10**6)

# --- answers ----------------------------------------------------------------------------------------

blocks = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, words),
        st.builds(
            lambda text, signature: {"type": "thinking", "thinking": text, "signature": signature},
            words,
            st.from_regex(r"[A-Za-z0-9+/]{4,12}={0,2}", fullmatch=True),
        ),
        st.builds(lambda data: {"type": "redacted_thinking", "data": data}, names),
        st.builds(lambda: {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}),
        st.builds(
            lambda name, given: {"type": "tool_use", "name": name, "input": given}, names, inputs
        ),
    ),
    max_size=5,
).map(
    lambda found: [
        {**block, "id": f"toolu_{number}"} if block["type"] == "tool_use" else block
        for number, block in enumerate(found)
    ]
)
usages = st.fixed_dictionaries(
    {
        "input_tokens": counts,
        "output_tokens": counts,
        "cache_read_input_tokens": counts,
        "cache_creation_input_tokens": counts,
    }
)
reasons = st.sampled_from(["end_turn", "max_tokens", "refusal", "tool_use", "stop_sequence"])
answers = st.builds(
    lambda content, usage, reason: {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": usage,
    },
    blocks,
    usages,
    reasons,
)


def as_stream(answer: dict[str, Any], cuts: list[int]) -> bytes:
    """The same answer in events; `cuts` say where the fragments of texts and inputs end."""
    head = {**answer, "content": [], "stop_reason": None}
    head["usage"] = {**answer["usage"], "output_tokens": 0}
    out = named("message_start", message=head) + named("ping")
    for index, block in enumerate(answer["content"]):
        out += _block_events(index, block, cuts)
    end = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
    out += named("message_delta", delta=end, usage=answer["usage"])
    return out + named("message_stop")


def _block_events(index: int, block: dict[str, Any], cuts: list[int]) -> bytes:
    def grow(kind: str, field: str, text: str) -> bytes:
        places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
        return b"".join(
            named("content_block_delta", index=index, delta={"type": kind, field: text[one:two]})
            for one, two in pairwise(places)
        )

    match block["type"]:
        case "text":
            first, rest = {**block, "text": ""}, grow("text_delta", "text", block["text"])
        case "thinking":
            first = {**block, "thinking": "", "signature": ""}
            signed = {"type": "signature_delta", "signature": block["signature"]}
            rest = grow("thinking_delta", "thinking", block["thinking"])
            rest += named("content_block_delta", index=index, delta=signed)
        case "tool_use":
            first = {**block, "input": {}}
            rest = grow("input_json_delta", "partial_json", json.dumps(block["input"]))
        case _:
            first, rest = block, b""
    begun = named("content_block_start", index=index, content_block=first)
    return begun + rest + named("content_block_stop", index=index)


def pieces_of(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[one:two] for one, two in pairwise(places)]


def call_of(face: FaceName) -> Any:
    if face == "chat":
        return chat(stream=True, stream_options={"include_usage": True})
    return messages(stream=True)


cuts = st.lists(st.integers(0, 10_000), max_size=4)


@given(answers, cuts, cuts, st.sampled_from(["chat", "messages"]))
def test_a_stream_reads_the_same_in_whatever_pieces_it_comes(
    answer: dict[str, Any], fragments: list[int], pieces: list[int], face: FaceName
) -> None:
    data = as_stream(answer, fragments)
    dialect, call = dialect_for(face, "anthropic"), call_of(face)
    whole = stream(dialect, call, [data])
    assert stream(dialect, call, pieces_of(data, pieces)) == whole
    if len(data) < 3000:
        assert stream(dialect, call, [data[at : at + 1] for at in range(len(data))]) == whole


@given(answers, cuts)
def test_a_stream_and_its_whole_twin_are_one_message_to_a_chat_client(
    answer: dict[str, Any], fragments: list[int]
) -> None:
    dialect = dialect_for("chat", "anthropic")
    streamed = chat_message(
        frames(stream(dialect, call_of("chat"), [as_stream(answer, fragments)]))
    )
    whole = whole_chat_message(
        dialect.decode_answer(chat(), TARGET, json.dumps(answer).encode()).body
    )
    for found in (streamed, whole):
        found["calls"] = [(one, name, json.loads(text)) for one, name, text in found["calls"]]
    assert streamed == whole


@given(answers, cuts)
def test_a_native_stream_is_the_message_that_its_whole_twin_is(
    answer: dict[str, Any], fragments: list[int]
) -> None:
    dialect = dialect_for("messages", "anthropic")
    found = message(frames(stream(dialect, messages(stream=True), [as_stream(answer, fragments)])))
    whole = dialect.decode_answer(messages(), TARGET, json.dumps(answer).encode()).body
    assert found == json.loads(whole)


@given(answers, cuts)
def test_an_answer_survives_the_way_through_chat_and_back(
    answer: dict[str, Any], fragments: list[int]
) -> None:
    """Anthropic's stream, written as chunks, read as those of a provider, written as Anthropic's events."""
    there = frames(
        stream(dialect_for("chat", "anthropic"), call_of("chat"), [as_stream(answer, fragments)])
    )
    back = message(frames(stream(dialect_for("messages", "openai"), call_of("messages"), [there])))
    kept = [block for block in answer["content"] if block["type"] in {"text", "tool_use"}]
    said = [block for block in back["content"] if block["type"] in {"text", "tool_use"}]
    assert _texts(said) == _texts(kept)
    assert _calls(said) == _calls(kept)
    assert back["usage"]["output_tokens"] == answer["usage"]["output_tokens"]
    assert sum(back["usage"].values()) == sum(answer["usage"].values())


def _texts(content: list[dict[str, Any]]) -> str:
    return "".join(block["text"] for block in content if block["type"] == "text")


def _calls(content: list[dict[str, Any]]) -> list[Any]:
    return [
        (block["id"], block["name"], block["input"])
        for block in content
        if block["type"] == "tool_use"
    ]


# --- requests ---------------------------------------------------------------------------------------

texts = st.text(min_size=1, max_size=8).filter(lambda text: bool(text.strip()))
said = st.builds(lambda text: Text(text=text), texts)
images = st.sampled_from(
    [
        Media(kind="image", url="https://h/i.png"),
        Media(kind="image", data="AAAA", media_type="image/png"),
    ]
)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """A conversation with tools, in the form that both dialects can say: each call is answered."""
    turns = [Turn("user", tuple(draw(st.lists(said | images, min_size=1, max_size=2))))]
    tools = tuple(Tool(name=name) for name in draw(st.lists(names, unique=True, max_size=2)))
    for round_ in range(draw(st.integers(0, 2))):
        calls = tuple(
            ToolCall(id=f"c{round_}_{index}", name=name, arguments=json.dumps(draw(inputs)))
            for index, name in enumerate(draw(st.lists(names, max_size=2)))
        )
        answered = tuple(
            ToolResult(call_id=call.id, name=call.name, parts=(draw(said),)) for call in calls
        )
        spoken: tuple[Part, ...] = (draw(said), *calls)
        turns += [Turn("assistant", spoken), Turn("user", (*answered, draw(said)))]
    return Conversation(
        system=tuple(draw(st.lists(said, max_size=2))),
        turns=tuple(turns),
        tools=tools,
        tool_choice=draw(st.sampled_from([None, ToolChoice("auto")])) if tools else None,
        most_tokens=draw(st.integers(1, 10**6)),
        temperature=draw(st.none() | st.floats(0, 1)),
        stop=tuple(draw(st.lists(texts, max_size=2))),
        user=draw(st.none() | texts),
    )


def settled(conversation: Conversation) -> Any:
    """What a conversation means: the turns of one role in one, JSON by its value."""
    turns: list[tuple[str, list[Any]]] = []
    for turn in conversation.turns:
        parts = [_settled(part) for part in turn.parts]
        if turns and turns[-1][0] == turn.role:
            turns[-1][1].extend(parts)
        else:
            turns.append((turn.role, parts))
    return {
        "system": [text.text for text in conversation.system],
        "turns": turns,
        "tools": [tool.name for tool in conversation.tools],
        "choice": conversation.tool_choice,
        "cap": conversation.most_tokens,
        "temperature": conversation.temperature,
        "stop": conversation.stop,
        "user": conversation.user,
    }


def _settled(part: Part) -> Any:
    if isinstance(part, ToolCall):
        return ("call", part.id, part.name, json.loads(part.arguments))
    return part


@given(conversations())
def test_a_request_means_the_same_after_the_way_to_anthropic_and_back(
    conversation: Conversation,
) -> None:
    sent = AnthropicUpstream().encode(conversation, target("claude-sonnet-4-5"), stream=False)
    assert settled(MessagesFace().conversation(decode_messages(sent.body))) == settled(conversation)


@given(conversations())
def test_a_request_means_the_same_after_the_way_to_openai_and_back(
    conversation: Conversation,
) -> None:
    sent = OpenAIUpstream().encode(conversation, target("gpt-x"), stream=False)
    assert settled(ChatFace().conversation(decode_chat("chat", sent.body))) == settled(conversation)


@given(answers)
def test_the_thoughts_of_an_answer_go_back_as_they_came(answer: dict[str, Any]) -> None:
    """A chat client that keeps what it gets sends the next turn; Anthropic finds its own thoughts in it."""
    dialect = dialect_for("chat", "anthropic")
    whole = dialect.decode_answer(chat(), TARGET, json.dumps(answer).encode()).body
    kept = json.loads(whole)["choices"][0]["message"]
    sent = json.loads(
        dialect.encode_request(chat({"role": "user", "content": "Hi"}, kept), TARGET).body
    )
    thoughts = [block for block in answer["content"] if "think" in block["type"]]
    back = [
        block
        for found in sent["messages"]
        for block in found["content"]
        if "think" in block["type"]
    ]
    assert back == thoughts


def test_reasoning_without_a_signature_is_nobodys_thought() -> None:
    conversation = Conversation(turns=(Turn("assistant", (Reasoning(text="hm"), Text(text="a"))),))
    sent = AnthropicUpstream().encode(conversation, TARGET, stream=False)
    assert b"hm" not in sent.body

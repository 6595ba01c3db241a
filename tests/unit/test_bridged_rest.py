"""The rest of a broken answer in every face: with calls behind the text, after any piece, at any provider."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from adapters.continuing import can_be_continued, continue_call
from adapters.dialect import Beginning, Call, Target
from adapters.registry import CONTINUING, dialect_for, dialect_of_call
from adapters.sse import Signal
from tests.dialect_wire import TARGET, body_of, chat, chat_message, message, messages, named, target
from tests.unit.responses_wire import accumulated, asked

LOOK = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"type": "function", "function": {"name": "look", "parameters": LOOK["input_schema"]}}


def started(name: str, read: int) -> bytes:
    usage = {"input_tokens": read, "output_tokens": 1}
    said = {"id": name, "role": "assistant", "model": "claude", "content": [], "usage": usage}
    return named("message_start", message=said)


BEGUN, OTHER = started("msg_1", 8), started("msg_2", 12)


def texts(*pieces: str, index: int = 0) -> list[bytes]:
    block = {"type": "text", "text": ""}
    deltas = [
        named("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        for piece in pieces
    ]
    return [named("content_block_start", index=index, content_block=block), *deltas]


CALL = [
    named("content_block_stop", index=0),
    named(
        "content_block_start",
        index=1,
        content_block={"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
    ),
    named(
        "content_block_delta",
        index=1,
        delta={"type": "input_json_delta", "partial_json": '{"at":1}'},
    ),
    named("content_block_stop", index=1),
]


def end(reason: str = "end_turn") -> list[bytes]:
    return [
        named("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 5}),
        named("message_stop"),
    ]


FACES: dict[str, Callable[..., Call]] = {
    "chat": lambda: chat(stream=True, stream_options={"include_usage": True}, tools=[FUNCTION]),
    "messages": lambda: messages(stream=True, tools=[LOOK]),
    "responses": lambda: asked(
        stream=True, tools=[{"type": "function", "name": "look", "parameters": {}}]
    ),
}
EVERY_FACE = pytest.mark.parametrize("face", FACES)


def passed(call: Call, pieces: list[bytes]) -> tuple[bytes, Beginning | None]:
    """What a client gets of these pieces of Anthropic's, and what could be gone on with then."""
    decoder = dialect_of_call(call, "anthropic").stream_decoder(call, TARGET)
    sent = b""
    for piece in pieces:
        decoder.receive_data(piece)
        while not isinstance(event := decoder.next_event(), Signal):
            sent += event.frame
    return sent, decoder.beginning


def joined(face: str, first: list[bytes], rest: list[bytes]) -> bytes:
    """The stream of an answer that breaks after its first pieces, and is gone on with by the rest."""
    call = msgspec.structs.replace(FACES[face](), keeps_beginning=True)
    assert can_be_continued(call)
    sent, beginning = passed(call, first)
    assert beginning is not None
    going_on = continue_call(call, beginning)
    assert going_on is not None
    more, nothing = passed(going_on, rest)
    assert nothing is None
    return sent + more


def read(face: str, data: bytes) -> tuple[str, list[tuple[str, Any]]]:
    """The text and the calls that a client has in the end, as strictly as its SDK reads them."""
    if face == "chat":
        found = chat_message(data)
        return found["content"], [(name, json.loads(said)) for _, name, said in found["calls"]]
    if face == "messages":
        blocks = message(data)["content"]
        said = "".join(block["text"] for block in blocks if block["type"] == "text")
        return said, [(one["name"], one["input"]) for one in blocks if one["type"] == "tool_use"]
    response = accumulated(data)
    calls = [item for item in response.output if item.type == "function_call"]
    return response.output_text, [(one.name, json.loads(one.arguments)) for one in calls]


@EVERY_FACE
def test_a_rest_may_end_with_calls(face: str) -> None:
    rest = [OTHER, *texts(" will", " look."), *CALL, *end("tool_use")]
    data = joined(face, [BEGUN, *texts("I")], rest)
    assert read(face, data) == ("I will look.", [("look", {"at": 1})])


@EVERY_FACE
def test_a_rest_may_be_nothing_but_a_call(face: str) -> None:
    alone = [CALL[1], CALL[2], CALL[3]]
    data = joined(face, [BEGUN, *texts("I look.")], [OTHER, *alone, *end("tool_use")])
    assert read(face, data) == ("I look.", [("look", {"at": 1})])


@EVERY_FACE
def test_the_seam_is_exact_after_every_piece(face: str) -> None:
    words = ["Grüße", ", ", "du", "\n\n", '"Welt"', " ", "🦜"]
    for cut in range(1, len(words)):
        said = "".join(words[:cut])
        whole = "".join(words)
        rest = whole[len(said.rstrip()) :]  # a model goes on after the last word
        pieces = [rest[:1], rest[1:]]
        data = joined(face, [BEGUN, *texts(*words[:cut])], [OTHER, *texts(*pieces), *end()])
        assert read(face, data) == (whole, []), cut


@EVERY_FACE
def test_what_a_client_cannot_go_on_with_is_no_beginning(face: str) -> None:
    call = msgspec.structs.replace(FACES[face](), keeps_beginning=True)
    thought = {"type": "thinking", "thinking": "", "signature": ""}
    for pieces in (
        [BEGUN],
        [BEGUN, *texts("I"), CALL[0]],
        [BEGUN, *texts("I"), *CALL[:2]],
        [BEGUN, named("content_block_start", index=0, content_block=thought), *texts("I", index=1)],
        [BEGUN, *texts("I"), CALL[0], *end()],
    ):
        assert passed(call, pieces)[1] is None
    kept = msgspec.structs.replace(call, keeps_beginning=False)
    assert passed(kept, [BEGUN, *texts("I")])[1] is None


MODELS: dict[str, Target] = {
    "anthropic": TARGET,
    "bedrock": target("anthropic.claude-haiku-4-5-20251001-v1:0"),
    "deepseek": target("deepseek-chat", marks_prefill=True),
    "gemini": target("gemini-2.0-flash"),
    "mistral": target("mistral-small-latest", marks_prefill=True),
    "openai": target("m", marks_prefill=True),
    "vertex": target("gemini-2.0-flash"),
}


@pytest.mark.parametrize("dialect", sorted(CONTINUING))
def test_every_provider_gets_the_text_without_the_space_behind_it(dialect: str) -> None:
    beginning = Beginning(text=msgspec.Raw(b'"Well, \\n"'), output_tokens=2, usage=None, members={})
    call = continue_call(messages(thinking={"type": "enabled", "budget_tokens": 1024}), beginning)
    assert call is not None
    spoken = dialect_for("chat" if dialect == "anthropic" else "messages", dialect)
    if dialect == "anthropic":
        call = continue_call(chat(max_tokens=50), beginning)
        assert call is not None
    body = body_of(spoken.encode_request(call, MODELS[dialect]))
    last = body["contents" if dialect in {"gemini", "vertex"} else "messages"][-1]
    marked = {"role": "assistant", "content": "Well,", "prefix": True}
    wanted: dict[str, dict[str, Any]] = {
        "anthropic": {"role": "assistant", "content": [{"type": "text", "text": "Well,"}]},
        "bedrock": {"role": "assistant", "content": [{"text": "Well,"}]},
        "gemini": {"role": "model", "parts": [{"text": "Well,"}]},
        "deepseek": marked,
        "mistral": marked,
        "openai": marked,
        "vertex": {"role": "model", "parts": [{"text": "Well,"}]},
    }
    assert last == wanted[dialect]
    assert "thinking" not in json.dumps(body)


def test_a_beginning_of_space_alone_is_nothing_to_go_on_from() -> None:
    beginning = Beginning(text=msgspec.Raw(b'" \\n"'), output_tokens=1, usage=None, members={})
    call = continue_call(messages(), beginning)
    assert call is not None
    for upstream in ("openai", "anthropic"):
        body = body_of(dialect_of_call(call, upstream).encode_request(call, TARGET))
        assert [said["role"] for said in body["messages"]] == ["user"]

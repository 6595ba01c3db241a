"""Answers that one dialect began and another finished: to the client of any face they are one answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import msgspec
import pytest
import trio
from openai.types.responses import Response

from router.config import Config, ModelConfig, ModelEntry, RaceConfig, TimeoutConfig
from router.simulator import Behaviour, expected_text, expected_tokens
from tests.simulated.dialect_world import CHAT, PREFIX, provider, received
from tests.simulated.rescue_world import LONG_ENOUGH, chunks, said
from tests.simulated.test_faces import named_events
from tests.simulated.world import ClientAnswer, World, in_virtual_time, open_world

MESSAGES, RESPONSES = "/v1/messages", "/v1/responses"
FACES = (CHAT, MESSAGES, RESPONSES)
DIALECTS = ("openai", "anthropic", "gemini")
NAME = "claude-haiku-4-5"  # both call it so, that either would have said the same alone
ASKED = 'Grüße, 世界 🦜 "so"\\\n'
ANSWERED = {"model": NAME, "messages": [{"role": "user", "content": ASKED}]}
TOKENS = expected_tokens(ANSWERED)
TEXT = expected_text(ANSWERED)
PAIRS = list(product(FACES, DIALECTS, DIALECTS))
EVERY_PAIR = pytest.mark.parametrize(
    ("face", "first", "second"), PAIRS, ids=["-".join(pair).rpartition("/")[2] for pair in PAIRS]
)
EVERY_FACE = pytest.mark.parametrize("face", FACES)
EACH_ONCE = pytest.mark.parametrize(("face", "second"), list(zip(FACES, DIALECTS, strict=True)))


def pair_config(first: str, second: str) -> Config:
    """The id `m` at a provider of one dialect, and as its fallback at one of another that takes a prefill."""
    limits = TimeoutConfig(connect=5, first_byte=30, idle=20, total=600)
    return Config(
        providers={
            name: msgspec.structs.replace(
                provider(dialect),
                base_url=f"http://{name}{PREFIX[dialect]}",
                models=[ModelEntry(upstream=NAME, prefill=name == "two")],
                timeouts=limits,
            )
            for name, dialect in (("one", first), ("two", second))
        },
        models={"m": ModelConfig(target=f"one/{NAME}", fallbacks=[f"two/{NAME}"])},
        race=RaceConfig(hedge=False),
    )


@asynccontextmanager
async def pair_world(first: str, second: str) -> AsyncIterator[World]:
    async with open_world(config=pair_config(first, second), hosts=("one", "two")) as world:
        yield world
        await world.leak_check()


async def ask(world: World, face: str, **fields: Any) -> ClientAnswer:
    """A streamed request in the words of a face, with the usage wanted."""
    body: dict[str, Any] = {"model": "m", "stream": True}
    if face == RESPONSES:
        body["input"] = ASKED
    else:
        body["messages"] = ANSWERED["messages"]
    if face == MESSAGES:
        body["max_tokens"] = 500
    elif face == CHAT:
        body["stream_options"] = {"include_usage": True}
    return await world.post(face, body | fields)


def plan(world: World, first: dict[str, Any], **second: Any) -> None:
    world.simulators["one"].plan(Behaviour(**first))
    world.simulators["two"].plan(Behaviour(**second))


def read(face: str, answer: ClientAnswer) -> tuple[str, tuple[int, int]]:
    """The text and the usage of an answer, once it is found to be one answer from begin to end."""
    assert answer.finished, answer.body
    return {CHAT: read_chat, MESSAGES: read_messages, RESPONSES: read_responses}[face](answer)


def read_chat(answer: ClientAnswer) -> tuple[str, tuple[int, int]]:
    *events, last = chunks(answer)
    choices = [choice for event in events for choice in event["choices"]]
    assert answer.events()[-1] == b"[DONE]"
    assert [c["delta"]["role"] for c in choices if "role" in c["delta"]] == ["assistant"]
    assert [c["finish_reason"] for c in choices if c["finish_reason"]] == ["stop"]
    assert choices[-1]["finish_reason"] == "stop"
    assert len({(e["id"], e["created"], e["model"]) for e in [*events, last]}) == 1
    assert last["model"] == f"one/{NAME}"
    assert last["choices"] == []
    assert not any(event.get("usage") for event in events)
    return said(answer), (last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"])


def read_messages(answer: ClientAnswer) -> tuple[str, tuple[int, int]]:
    events = [(name, data) for name, data in named_events(answer) if name != "ping"]
    names = [name for name, _ in events]
    deltas = names.count("content_block_delta")
    assert names == [
        "message_start",
        "content_block_start",
        *["content_block_delta"] * deltas,
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert events[0][1]["message"]["model"] == f"one/{NAME}"
    assert {data["index"] for name, data in events if name.startswith("content")} == {0}
    ended = events[-2][1]
    assert ended["delta"]["stop_reason"] == "end_turn"
    text = "".join(data["delta"]["text"] for name, data in events if name == "content_block_delta")
    return text, (ended["usage"]["input_tokens"], ended["usage"]["output_tokens"])


def read_responses(answer: ClientAnswer) -> tuple[str, tuple[int, int]]:
    events = named_events(answer)
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    names = [name for name, _ in events if name != "response.output_text.delta"]
    assert names == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert len({data["item_id"] for _, data in events if "item_id" in data}) == 1
    whole = events[-1][1]["response"]
    begun = events[0][1]["response"]
    same = ("id", "created_at", "model")
    assert [whole[name] for name in same] == [begun[name] for name in same]
    assert whole["model"] == f"one/{NAME}"
    found = Response.model_validate(whole)
    told = "".join(data["delta"] for name, data in events if name.endswith("text.delta"))
    assert found.output_text == told
    assert found.usage is not None
    return told, (found.usage.input_tokens, found.usage.output_tokens)


@EVERY_PAIR
def test_a_stream_that_breaks_is_finished_by_another_dialect_and_is_one_answer(
    face: str, first: str, second: str
) -> None:
    async def scenario() -> None:
        async with pair_world(first, second) as world:
            for after in (1, 2, 7, len(TOKENS) - 1):
                plan(world, {"cut_after": after}, ttft=0.5)
                answer = await ask(world, face)
                text, usage = read(face, answer)
                assert text == TEXT, after
                line = world.log_lines()[-1]
                assert (line["provider"], line["rescuer"]) == ("one", "two")
                assert (line["attempts"], line["outcome"]) == (2, "ok")
                bill = world.gateway.bills[-1].bill
                assert bill.customer is not None
                paid = bill.customer.usage
                assert (paid.input_tokens, paid.output_tokens) == usage
                assert usage[1] == len(TOKENS)
                assert bill.customer.provider == "one"
                await trio.sleep(LONG_ENOUGH)

    in_virtual_time(scenario)


@EACH_ONCE
def test_the_seam_is_exact_after_every_token(face: str, second: str) -> None:
    async def scenario() -> None:
        async with pair_world("anthropic", second) as world:
            for after in range(1, len(TOKENS)):
                plan(world, {"cut_after": after})
                assert read(face, await ask(world, face))[0] == TEXT, after
                await trio.sleep(LONG_ENOUGH)

    in_virtual_time(scenario)


BREAKS: dict[str, dict[str, Any]] = {
    "stall": {"stall_after": 7},
    "error event": {"error_event_after": 7, "error_event_status": 503},
}


@EACH_ONCE
def test_it_is_finished_however_it_breaks(face: str, second: str) -> None:
    async def scenario() -> None:
        async with pair_world("gemini", second) as world:
            for how in BREAKS.values():
                plan(world, how)
                assert read(face, await ask(world, face))[0] == TEXT
                await trio.sleep(LONG_ENOUGH)

    in_virtual_time(scenario)


@EACH_ONCE
def test_a_rescuer_that_repeats_a_long_beginning_is_heard_from_where_it_goes_on(
    face: str, second: str
) -> None:
    async def scenario() -> None:
        async with pair_world("anthropic", second) as world:
            plan(world, {"cut_after": len(TOKENS) - 3}, prefill="echo")
            assert read(face, await ask(world, face))[0] == TEXT

    in_virtual_time(scenario)


@EVERY_FACE
@pytest.mark.parametrize("second", DIALECTS)
def test_a_rescuer_gets_the_rest_of_the_cap_and_the_text_as_the_assistants(
    face: str, second: str
) -> None:
    async def scenario() -> None:
        async with pair_world("anthropic", second) as world:
            plan(world, {"cut_after": 7})
            cap = "max_output_tokens" if face == RESPONSES else "max_tokens"
            await ask(world, face, **{cap: 60})
            sent = world.simulators["two"].requests[-1].json()
            begun = "".join(TOKENS[:7]).rstrip()
            if second == "gemini":
                assert sent["contents"][-1] == {"role": "model", "parts": [{"text": begun}]}
                assert sent["generationConfig"]["maxOutputTokens"] == 53
                return
            last = sent["messages"][-1]
            assert last["role"] == "assistant"
            assert last["content"] in (begun, [{"type": "text", "text": begun}])
            assert sent["max_tokens"] == 53

    in_virtual_time(scenario)


def test_between_messages_the_rest_is_asked_for_in_the_clients_own_bytes() -> None:
    async def scenario() -> None:
        async with pair_world("anthropic", "anthropic") as world:
            plan(world, {"cut_after": 7})
            fields = {"top_k": 5, "metadata": {"user_id": "u"}, "service_tier": "auto"}
            answer = await ask(world, MESSAGES, **fields)
            assert read_messages(answer)[0] == TEXT
            begun, rest = (world.simulators[host].requests[-1].json() for host in ("one", "two"))
            [*before, last] = rest["messages"]
            assert before == begun["messages"]
            assert last == {"role": "assistant", "content": "".join(TOKENS[:7]).rstrip()}
            assert {name: rest[name] for name in fields} == fields
            assert rest.keys() == begun.keys()

    in_virtual_time(scenario)


@EACH_ONCE
@pytest.mark.parametrize("fault", [{"prefill": "refuse"}, {"status": 503}, {"cut_after": 3}])
def test_a_rescue_that_fails_is_told_as_the_break_that_it_was(
    face: str, second: str, fault: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with pair_world("anthropic", second) as world:
            plan(world, {"cut_after": 7}, **fault)
            world.simulators["two"].plan(Behaviour(**fault))
            answer = await ask(world, face)
            assert not answer.finished
            if face == CHAT:
                assert chunks(answer)[-1]["error"]["code"] == "upstream_stream_broken"
                assert b"[DONE]" not in answer.body
            else:
                names = [name for name, _ in named_events(answer)]
                assert "error" in names[-2:]
                assert not {"message_stop", "response.completed"} & set(names)
            [(_, bill, _)] = world.gateway.bills
            assert bill.customer is None

    in_virtual_time(scenario)


WORDS = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
FORM = {"type": "json_schema", "schema": WORDS, "name": "a"}
LEFT_ALONE: dict[str, tuple[str, dict[str, Any]]] = {
    "a form of Responses": (RESPONSES, {"text": {"format": FORM}}),
    "a form of Messages": (MESSAGES, {"output_config": {"format": FORM}}),
    "a conversation that ends with the assistant": (
        MESSAGES,
        {"messages": [*ANSWERED["messages"], {"role": "assistant", "content": "Well,"}]},
    ),
    "an input that ends with the assistant": (
        RESPONSES,
        {"input": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
    ),
    "an answer at its cap": (MESSAGES, {"max_tokens": 7}),
}


@pytest.mark.parametrize("case", LEFT_ALONE)
def test_what_could_not_be_one_answer_is_not_rescued(case: str) -> None:
    async def scenario() -> None:
        face, fields = LEFT_ALONE[case]
        async with pair_world("openai", "anthropic") as world:
            after = 1 if "form" in case else 7
            plan(world, {"cut_after": after})
            answer = await ask(world, face, **fields)
            assert not answer.finished
            assert b"delta" in answer.body
            assert received(world, "two") == 0

    in_virtual_time(scenario)

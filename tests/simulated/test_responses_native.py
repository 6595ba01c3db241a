"""Clients of Responses at a provider that speaks them, through the whole gateway in virtual time."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest

from router.config import Config, ModelConfig, ModelEntry, PathConfig, RaceConfig
from router.simulator import Simulator, expected_text, expected_tokens
from tests.simulated.dialect_world import MODELS, PREFIX, provider, received
from tests.simulated.responses_provider import ResponsesProvider, streamed, whole
from tests.simulated.test_faces import RESPONSES, named_events, text_of
from tests.simulated.world import ClientAnswer, World, chat_fields, in_virtual_time, open_world
from tests.unit.test_responses_native import AT, HEAD, STREAM, USAGE, WHOLE_MESSAGE, event, response

OTHER = MODELS["anthropic"]
ANSWER = json.dumps(response("completed", [WHOLE_MESSAGE], usage=USAGE, x_unknown=[1.0])).encode()
ERROR = b'{"error":{"message":"no","type":"invalid_request_error","code":"bad","param":"input"}}'
FORMS = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def native_config(**model: Any) -> Config:
    """The id `m` at a provider with Responses, and as its fallback at one of Anthropic's dialect."""
    native = msgspec.structs.replace(
        provider("openai"),
        base_url=f"http://native{PREFIX['openai']}",
        paths=PathConfig(responses="/responses"),
        models=["gpt-9"],
    )
    other = msgspec.structs.replace(
        provider("anthropic"), models=[ModelEntry(upstream=OTHER, prefill=True)]
    )
    return Config(
        providers={"native": native, "anthropic": other},
        models={"m": ModelConfig(target="native/gpt-9", fallbacks=[f"anthropic/{OTHER}"], **model)},
        race=RaceConfig(hedge=False),
    )


@asynccontextmanager
async def native_world(*answers: bytes) -> AsyncIterator[tuple[World, ResponsesProvider]]:
    told = ResponsesProvider(*answers)
    async with open_world(config=native_config(), hosts=("native", "anthropic")) as world:
        cast("dict[str, Simulator]", world.simulators)["native"] = cast("Simulator", told)
        yield world, told
        await world.leak_check()


async def ask(world: World, **fields: Any) -> ClientAnswer:
    return await world.post(RESPONSES, {"model": "m", "input": "Hello", **fields})


def renamed(body: bytes) -> bytes:
    return body.replace(b"gpt-9-2026", b"native/gpt-9")


def test_a_whole_response_passes_in_its_own_bytes_and_is_billed() -> None:
    async def scenario() -> None:
        async with native_world(whole(ANSWER)) as (world, told):
            answer = await ask(world, store=True, x_unknown={"a": 1})
            assert (answer.status, answer.body) == (200, renamed(ANSWER))
            assert told.targets == ["/v1/responses"]
            [sent] = told.bodies
            assert sent == {
                "model": "gpt-9",
                "input": "Hello",
                "store": False,
                "x_unknown": {"a": 1},
            }
            [(record, bill, _)] = world.gateway.bills
            assert record.endpoint == "responses"
            assert bill.customer is not None
            usage = bill.customer.usage
            assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens) == (9, 6, 4)
            assert (usage.reasoning_tokens, usage.estimated) == (2, False)

    in_virtual_time(scenario)


def test_a_stream_passes_in_its_own_bytes_and_is_billed() -> None:
    async def scenario() -> None:
        unheard = event("response.unheard_of", 4, surprise=[1.0])
        async with native_world(streamed(*HEAD, unheard, *STREAM[4:])) as (world, _):
            answer = await ask(world, stream=True)
            assert answer.finished
            passed = b"".join([*STREAM[2:4], unheard, *STREAM[4:-1]])
            assert passed in answer.body
            assert text_of(RESPONSES, answer) == "Grüße, du"
            assert b"gpt-9-2026" not in answer.body
            [(_, bill, _)] = world.gateway.bills
            assert bill.customer is not None
            assert bill.customer.usage.output_tokens == 6

    in_virtual_time(scenario)


@FORMS
def test_other_faces_are_answered_by_way_of_chat(stream: bool) -> None:
    async def scenario() -> None:
        async with native_world(whole(b"{}", 404)) as (world, told):
            await world.chat(model="m", stream=stream)
            messages = [{"role": "user", "content": "Hello"}]
            fields = {"model": "m", "max_tokens": 5, "messages": messages, "stream": stream}
            await world.post("/v1/messages", fields)
            assert told.targets == ["/v1/chat/completions"] * 2

    in_virtual_time(scenario)


@pytest.mark.parametrize("field", ["previous_response_id", "conversation", "prompt", "background"])
def test_what_needs_a_memory_is_refused_before_anybody_is_asked(field: str) -> None:
    async def scenario() -> None:
        async with native_world(whole(ANSWER)) as (world, told):
            answer = await ask(world, **{field: True if field == "background" else {"id": "x"}})
            assert answer.status == 400
            assert answer.json()["error"]["param"] == field
            assert told.targets == []

    in_virtual_time(scenario)


BEFORE: dict[str, bytes] = {
    "429": whole(b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}', 429),
    "500": whole(b"{}", 500),
    "a wrong key": whole(b'{"error":{"message":"no","code":"invalid_api_key"}}', 401),
    "no answer": whole(b"<html>"),
    "an error in a 200": whole(b'{"error":{"code":"server_error","message":"x"}}'),
    "a failed response": streamed(
        HEAD[0],
        event(
            "response.failed",
            1,
            response=response("failed", error={"code": "server_error", "message": "x"}),
        ),
    ),
    "an error event": streamed(*HEAD, event("error", 4, code="rate_limit_exceeded", message="x")),
    "cut before a word": streamed(*HEAD, cut=True),
}


@pytest.mark.parametrize("fault", BEFORE)
@FORMS
def test_a_failure_goes_over_to_another_dialect_and_leaves_no_trace(
    fault: str, stream: bool
) -> None:
    async def scenario() -> None:
        async with native_world(BEFORE[fault]) as (world, _):
            answer = await ask(world, stream=stream)
            assert answer.headers["x-syze-provider"] == "anthropic"
            expected = expected_text(chat_fields(model=OTHER))
            assert text_of(RESPONSES, answer) == expected
            assert b"gpt-9" not in answer.body
            assert b"resp_1" not in answer.body
            [(_, bill, _)] = world.gateway.bills
            assert {charge.payer for charge in bill.charges[:-1]} == {"operator"}

    in_virtual_time(scenario)


def test_a_refusal_is_passed_on_as_it_is() -> None:
    async def scenario() -> None:
        async with native_world(whole(ERROR, 400)) as (world, _):
            answer = await ask(world)
            assert answer.status == 400
            error = answer.json()["error"]
            assert (error["message"], error["code"], error["param"]) == ("no", "bad", "input")
            assert received(world, "anthropic") == 0

    in_virtual_time(scenario)


def deltas(pieces: list[str]) -> list[bytes]:
    return [
        event("response.output_text.delta", 4 + at, **AT, delta=piece, logprobs=[])
        for at, piece in enumerate(pieces)
    ]


def test_a_stream_that_breaks_is_finished_by_another_dialect_and_is_one_response() -> None:
    async def scenario() -> None:
        async with native_world(whole(b"{}")) as (world, told):
            tokens = expected_tokens(chat_fields(model=OTHER))
            for after in (1, 2, len(tokens) - 1):
                told.plan(streamed(*HEAD, *deltas(tokens[:after]), cut=True))
                answer = await ask(world, stream=True)
                assert answer.finished, answer.body
                assert text_of(RESPONSES, answer) == "".join(tokens)
                events = named_events(answer)
                numbers = [data["sequence_number"] for _, data in events]
                assert numbers == list(range(len(events)))
                assert {data["item_id"] for _, data in events if "item_id" in data} == {"msg_1"}
                last = events[-1][1]["response"]
                assert (last["id"], last["model"]) == ("resp_1", "native/gpt-9")
                assert last["usage"]["output_tokens"] == len(tokens)
                assert world.log_lines()[-1]["rescuer"] == "anthropic"

    in_virtual_time(scenario)


def test_a_stream_that_breaks_beyond_rescue_says_so_in_its_own_words() -> None:
    async def scenario() -> None:
        call = {"id": "fc_1", "type": "function_call", "call_id": "c", "name": "f", "arguments": ""}
        called = (
            event("response.output_item.added", 2, output_index=0, item=call),
            event(
                "response.function_call_arguments.delta",
                3,
                item_id="fc_1",
                output_index=0,
                delta="{",
            ),
        )
        async with native_world(streamed(*HEAD[:2], *called, cut=True)) as (world, _):
            answer = await ask(world, stream=True)
            assert not answer.finished
            events = named_events(answer)
            assert [name for name, _ in events[-2:]] == ["error", "response.failed"]
            assert events[-1][1]["sequence_number"] == 5
            assert events[-1][1]["response"]["id"] == "resp_1"
            assert received(world, "anthropic") == 0
            [(_, bill, _)] = world.gateway.bills
            assert bill.customer is None

    in_virtual_time(scenario)

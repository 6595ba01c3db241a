"""The other data-plane endpoints through the whole gateway: embeddings, legacy completions, whole chats."""

import base64
import struct
from typing import Any

import msgspec
import pytest

from router.simulator import Simulator
from tests.simulated.scripted_stream import END, chunk, saying
from tests.simulated.simulator_wire import connected
from tests.simulated.world import MODEL, chat_fields, in_virtual_time, open_world

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
EMBEDDINGS = "/v1/embeddings"
SMALL = "openai/text-embedding-3-small"
INPUTS: list[Any] = ["one", ["one", "two"], [1, 2, 3], [[1, 2], [3]]]


async def plainly(path: str, fields: dict[str, Any]) -> Any:
    """The provider's own answer, but for the model's name."""
    async with connected(Simulator(wall_clock=lambda: 1_800_000_000.0)) as client:
        bare = {**fields, "model": fields["model"].removeprefix("openai/")}
        answer = (await client.ask(bare, path=path)).json()
    return {**answer, "model": fields["model"]}


def numbers_of(item: dict[str, Any]) -> list[float]:
    found = item["embedding"]
    if isinstance(found, str):
        packed = base64.b64decode(found)
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    return [struct.unpack("<f", struct.pack("<f", number))[0] for number in found]


@pytest.mark.parametrize("asked", [None, "float", "base64"])
@pytest.mark.parametrize("stubborn", [False, True], ids=["heeds", "gives floats"])
def test_embeddings_come_in_the_form_that_was_asked_for(asked: str | None, stubborn: bool) -> None:
    async def scenario() -> None:
        for given in INPUTS:
            async with open_world() as world:
                fields = {"model": SMALL, "input": given, "dimensions": 16}
                form = {} if asked is None else {"encoding_format": asked}
                orders = {"embeddings_as_floats": stubborn}
                answer = await world.post(EMBEDDINGS, {**fields, **form, "simulate": orders})
                assert answer.status == 200
                plain = await plainly(EMBEDDINGS, fields)
                got = answer.json()
                expected = str if asked == "base64" else list
                assert all(isinstance(item["embedding"], expected) for item in got["data"])
                for item, meant in zip(got["data"], plain["data"], strict=True):
                    assert numbers_of(item) == numbers_of(meant)
                    assert len(numbers_of(item)) == 16
                for whole in (got, plain):
                    whole["data"] = [item["index"] for item in whole["data"]]
                assert got == plain
                await world.leak_check()

    in_virtual_time(scenario)


def test_embeddings_are_recorded_with_their_usage() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            await world.post(EMBEDDINGS, {"model": SMALL, "input": "one two three"})
            (line,) = world.log_lines()
            assert line["endpoint"] == "embeddings"
            assert line["input_tokens"] > 0
            assert line["model"] == SMALL

    in_virtual_time(scenario)


@pytest.mark.parametrize("path", [COMPLETIONS, CHAT])
def test_a_whole_answer_is_the_providers_but_for_the_models_name(path: str) -> None:
    async def scenario() -> None:
        fields: dict[str, Any] = chat_fields(n=2, max_tokens=7, seed=1)
        if path == COMPLETIONS:
            fields = {"model": MODEL, "prompt": ["Once", "Twice"], "n": 2, "logprobs": 1}
        for oddity in ({}, {"gzip": True}, {"body_split": 3}, {"omit_usage": True}):
            async with open_world() as world:
                answer = await world.post(path, {**fields, "simulate": oddity})
                kept = {"omit_usage": True} if "omit_usage" in oddity else {}
                assert answer.json() == await plainly(path, {**fields, "simulate": kept})
                assert answer.headers["content-type"] == "application/json"
                assert int(answer.headers["content-length"]) == len(answer.body)
                assert "content-encoding" not in answer.headers
                await world.leak_check()

    in_virtual_time(scenario)


def test_a_legacy_completion_streams_its_text_and_gets_no_role() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            fields = {"model": MODEL, "prompt": "Once"}
            whole = (await world.post(COMPLETIONS, fields)).json()["choices"][0]["text"]
            answer = await world.post(COMPLETIONS, {**fields, "stream": True})
            *chunks, done = answer.events()
            assert done == b"[DONE]"
            choices = [msgspec.json.decode(chunk)["choices"][0] for chunk in chunks]
            assert "".join(choice["text"] for choice in choices) == whole
            assert choices[-1]["finish_reason"] == "stop"
            assert not any("delta" in choice for choice in choices)
            await world.leak_check()

    in_virtual_time(scenario)


def test_several_prompts_of_one_streamed_completion_are_all_finished() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            fields = {"model": MODEL, "prompt": ["One", "Two"], "n": 2, "stream": True}
            answer = await world.post(COMPLETIONS, fields)
            choices = [
                choice
                for event in answer.events()[:-1]
                for choice in msgspec.json.decode(event)["choices"]
            ]
            finished = [choice["index"] for choice in choices if choice["finish_reason"]]
            assert sorted(finished) == [0, 1, 2, 3]
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("second", [b"", chunk(index=1, text="b")], ids=["unbegun", "begun"])
def test_i5_a_completion_of_two_prompts_is_cut_when_only_the_first_has_finished(
    second: bytes,
) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            first = chunk(index=0, text="a", finish_reason="stop")
            world.serve_upstream = saying((0, first + second + END))
            fields = {"model": MODEL, "prompt": ["One", "Two"], "stream": True}
            answer = await world.post(COMPLETIONS, fields)
            assert b'"text":"a"' in answer.body
            assert b"[DONE]" not in answer.body
            assert not answer.finished
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, EMBEDDINGS])
def test_paths_without_v1_and_with_a_trailing_slash_serve_the_same(path: str) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            fields = {
                CHAT: chat_fields(),
                COMPLETIONS: {"model": MODEL, "prompt": "Once"},
                EMBEDDINGS: {"model": SMALL, "input": "Once"},
            }[path]
            for spelling in (path, f"{path}/", path.removeprefix("/v1"), f"{path}?beta=true"):
                answer = await world.post(spelling, fields)
                assert answer.status == 200, spelling
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_bare_model_name_is_answered_under_the_id_that_the_gateway_lists() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            for stream in (False, True):
                answer = await world.chat(model="gpt-4o-mini", stream=stream)
                events = answer.events()[:-1] if stream else [answer.body]
                assert {msgspec.json.decode(e)["model"] for e in events} == {"openai/gpt-4o-mini"}
                assert (
                    msgspec.json.decode(world.simulator.requests[-1].body)["model"] == "gpt-4o-mini"
                )

    in_virtual_time(scenario)

"""A broken chat stream that goes on in another dialect: the client reads one answer, as ever."""

import msgspec
import pytest
import trio

from adapters.dialect_preset import DIALECT_PRESETS
from router.config import Config, PathConfig, Secret
from router.simulator import Behaviour
from tests.simulated.dialect_world import TOOL
from tests.simulated.rescue_world import (
    CHAT,
    LONG_ENOUGH,
    chunks,
    error_code,
    plan,
    rescue_config,
    rescue_world,
    said,
    story_fields,
    whole_text,
)
from tests.simulated.world import ClientAnswer, in_virtual_time

PREFIX = {"openai": "/v1", "anthropic": "/v1", "gemini": "/v1beta"}
PAIRS = [("openai", "anthropic"), ("anthropic", "openai"), ("anthropic", "anthropic")]


def spoken(first: str, rescuer: str) -> Config:
    """The rescue's two providers, each in a dialect."""
    config = rescue_config()
    providers = {
        name: msgspec.structs.replace(
            config.providers[name],
            dialect=dialect,
            base_url=f"http://{host}{PREFIX[dialect]}",
            key=Secret("an-upstream-key"),
            key_header=DIALECT_PRESETS[dialect].key_header,
            paths=PathConfig(**dict(DIALECT_PRESETS[dialect].paths)),
        )
        for name, host, dialect in (("first", "one", first), ("anthropic", "two", rescuer))
    }
    return msgspec.structs.replace(config, providers=providers)


@pytest.mark.parametrize(("first", "rescuer"), [*PAIRS, ("gemini", "anthropic")])
def test_the_seam_is_exact_wherever_a_stream_is_cut(first: str, rescuer: str) -> None:
    async def scenario() -> None:
        async with rescue_world(config=spoken(first, rescuer)) as world:
            rescued = 0
            for cut_after in range(2, 30):
                plan(world, Behaviour(cut_after=cut_after))
                fields = story_fields(stream_options={"include_usage": True})
                answer = await world.post(CHAT, fields)
                assert said(answer) == whole_text(), cut_after
                assert_one_stream(answer)
                rescued += "rescuer" in world.log_lines()[-1]
                world.simulators["one"].plan()
                await trio.sleep(LONG_ENOUGH)
            assert rescued > 5
            await world.leak_check()

    in_virtual_time(scenario)


def assert_one_stream(answer: ClientAnswer) -> None:
    """One role, one end, one name, and one usage of the whole."""
    found = chunks(answer)
    assert answer.events()[-1] == b"[DONE]"
    assert len({(one["id"], one["created"], one["model"]) for one in found}) == 1
    choices = [choice for one in found for choice in one["choices"]]
    assert [one["finish_reason"] for one in choices if one["finish_reason"]] == ["stop"]
    assert [one["delta"]["role"] for one in choices if "role" in one["delta"]] == ["assistant"]
    usage = found[-1]["usage"]
    assert 0 < usage["prompt_tokens"] < usage["completion_tokens"] < 100


def test_a_tool_call_of_claudes_is_left_alone() -> None:
    async def scenario() -> None:
        async with rescue_world(config=spoken("anthropic", "openai")) as world:
            plan(world, Behaviour(cut_after=3))
            fields = story_fields(tools=[TOOL], tool_choice="required")
            answer = await world.post(CHAT, fields)
            assert error_code(answer) is not None
            assert "rescuer" not in world.log_lines()[-1]

    in_virtual_time(scenario)

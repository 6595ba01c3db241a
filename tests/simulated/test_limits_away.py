"""Limits that nobody can tell at the moment: the headers are left out, and nothing else is lost."""

from typing import Any

import pytest

from limiter.demand import Standing
from limiter.local_reservation import LocalReservation
from router.config import Config, LimitsConfig
from router.errors import LimitsUnavailable
from tests.simulated.world import World, chat_fields, in_virtual_time, open_world, world_config

CHAT = "/v1/chat/completions"


def limited_config() -> Config:
    config = world_config()
    limits = LimitsConfig(requests_per_minute=100)
    return Config(server=config.server, providers=config.providers, limits=limits)


def forget_standings(world: World) -> None:
    """From now on reservations are taken, and how the limits stand cannot be told."""

    async def standing(_subject: str) -> Standing:
        raise LimitsUnavailable

    async def reserve(*args: Any, **named: Any) -> LocalReservation:
        taken: LocalReservation = reserve_as_ever(*args, **named)
        taken.uses = ()  # a store that many machines share tells no more than that it fitted
        return taken

    engine: Any = world.gateway.admission._engine
    reserve_as_ever = engine.reserve_at_once
    engine.standing, engine.reserve = standing, reserve
    engine.reserve_at_once = lambda *_, **__: None  # it has to be waited for as well


@pytest.mark.parametrize(
    ("fields", "status"), [({}, 200), ({"model": "no/such"}, 404), ({"messages": 7}, 400)]
)
def test_an_answer_without_its_limit_headers_is_the_same_answer(
    fields: dict[str, Any], status: int
) -> None:
    async def scenario() -> None:
        async with open_world(config=limited_config()) as world:
            told = await world.post(CHAT, chat_fields(**fields))
            assert told.headers["x-ratelimit-limit-requests"] == "100"
            forget_standings(world)
            answer = await world.post(CHAT, chat_fields(**fields))
            assert answer.status == told.status == status
            assert not any(name.startswith("x-ratelimit") for name in answer.headers)
            await world.leak_check()

    in_virtual_time(scenario)

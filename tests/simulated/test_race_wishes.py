"""What a request may wish about its route, what the providers see of that, and what the answer says of it."""

from typing import Any

import pytest

from tests.simulated.race_world import AT_ONCE, Served, ask, plan, race_config, seen
from tests.simulated.world import World, in_virtual_time, open_world

CONFIG = race_config("ab", "c", others="d")


async def wished(world: World, **fields: Any) -> Served:
    """Ask; whatever was wished, no provider may hear of it."""
    served = await ask(world, **fields)
    for simulator in world.simulators.values():
        for request in simulator.requests:
            assert not {"models", "provider", "route"} & request.json().keys()
            assert request.json()["model"] == "m"  # the provider's own name for it
            assert not [name for name, _ in request.headers if name.startswith(b"x-syze")]
    return served


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("wish", "failing", "provider", "requests"),
    [
        ({}, "", "a", "a1 b0 c0 d0"),
        ({"models": ["d/m"]}, "", "a", "a1 b0 c0 d0"),
        ({"models": ["d/m"], "route": "fallback"}, "ab", "d", "a1 b1 c0 d1"),
        ({"models": ["d/m"]}, "abd", "c", "a1 b1 c1 d1"),
        ({"provider": {"order": ["b"]}}, "", "b", "a0 b1 c0 d0"),
        ({"provider": {"order": ["B", "a"]}}, "b", "a", "a1 b1 c0 d0"),
        ({"provider": {"only": ["c"]}}, "", "c", "a0 b0 c1 d0"),
        ({"provider": {"ignore": ["a"]}}, "", "b", "a0 b1 c0 d0"),
        ({"provider": {"sort": "latency", "quantizations": ["fp8"]}}, "", "a", "a1 b0 c0 d0"),
        ({"provider": {"allow_fallbacks": False}}, "a", None, "a1 b0 c0 d0"),
        ({"provider": {"order": ["b"], "allow_fallbacks": False}}, "b", None, "a0 b1 c0 d0"),
        ({"models": None, "provider": None}, "", "a", "a1 b0 c0 d0"),
    ],
)
def test_a_wish_decides_who_is_asked_and_goes_no_further(
    wish: dict[str, Any], failing: str, provider: str | None, requests: str, stream: bool
) -> None:
    async def scenario() -> None:
        async with open_world(AT_ONCE, config=CONFIG, hosts="abcd") as world:
            for host in failing:
                plan(world, host, status=429, retry_after=60)
            served = await wished(world, stream=stream, max_tokens=2, **wish)
            assert served.status == (200 if provider else 503)
            assert served.provider == provider
            assert seen(world) == requests
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"models": ["nobody/m"]}, "models"),
        ({"models": "d/m"}, "models"),
        ({"provider": {"order": 5}}, "provider.order"),
        ({"provider": {"only": ["nobody"]}}, "provider"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_by_name(wish: dict[str, Any], param: str) -> None:
    async def scenario() -> None:
        async with open_world(AT_ONCE, config=CONFIG, hosts="abcd") as world:
            served = await ask(world, **wish)
            assert served.status == 400
            assert served.answer.json()["error"]["param"] == param
            assert seen(world) == "a0 b0 c0 d0"
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_answer_names_the_model_and_the_provider_that_served(stream: bool) -> None:
    async def scenario() -> None:
        async with open_world(AT_ONCE, config=CONFIG, hosts="abcd") as world:
            for host in "ab":
                plan(world, host, status=429, retry_after=60)
            served = await ask(world, stream=stream, max_tokens=2)
            assert (served.provider, served.attempts, served.hedged) == ("c", 3, False)
            said = served.answer.events()[0] if stream else served.answer.body
            assert b'"model":"c/m"' in said
            (line,) = world.log_lines()
            assert (line["model"], line["provider"], line["attempts"]) == ("m", "c", 3)
            await world.leak_check()

    in_virtual_time(scenario)

"""Hedges in virtual time: when a second attempt joins, that one wins, and that the other ends at once.

The providers here take 0.2 s to their first token until they are told otherwise, and the gateway has seen
enough answers of each to know that.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
import trio.testing

from router.config import Config, RaceConfig
from router.simulator import Latency, Profile
from tests.simulated.race_world import CHAT, ask, everything_received, plan, race_config, received
from tests.simulated.world import Client, World, chat_fields, in_virtual_time, open_world

USUAL = 0.2
STEADY = Profile(ttft=Latency.fixed(USUAL))
BUCKET = 1.02  # the histogram's resolution
SLOW = 5.0
STREAM = [False, True]
FORMS = ["whole", "stream"]


@asynccontextmanager
async def trained(config: Config, hosts: str, *, stream: bool) -> AsyncIterator[World]:
    """A world whose gateway has seen thirty answers of each provider."""
    async with open_world(STEADY, config=config, hosts=hosts) as world:
        for host in hosts:
            for _ in range(30):
                served = await ask(world, model=f"{host}/m", stream=stream, max_tokens=3)
                assert not served.hedged
        for simulator in world.simulators.values():
            simulator.requests.clear()
        yield world
        await world.leak_check()


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
def test_a_straggler_is_joined_by_another_of_its_tier_after_the_learned_delay(stream: bool) -> None:
    async def scenario() -> None:
        async with trained(race_config("ab", "c"), "abc", stream=stream) as world:
            plan(world, "a", ttft=SLOW)
            served = await ask(world, stream=stream, max_tokens=3)
            assert (served.provider, served.attempts, served.hedged) == ("b", 2, True)
            assert 2 * USUAL <= served.seconds <= (1 + BUCKET) * USUAL + 1e-6
            assert received(world, "c") == 0
            (line,) = world.log_lines()[-1:]
            assert (line["attempts"], line["provider"]) == (2, "b")

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
def test_the_loser_is_cut_off_the_moment_the_winner_has_its_first_token(stream: bool) -> None:
    async def scenario() -> None:
        async with trained(race_config("ab"), "ab", stream=stream) as world:
            plan(world, "a", ttft=SLOW)
            plan(world, "b", gap=1 if stream else 0, tokens=10)
            client = Client(msgspec.json.encode(chat_fields(model="m", stream=stream)))
            async with trio.open_nursery() as nursery:
                start = trio.current_time()
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep_until(start + USUAL * BUCKET + USUAL / 2)
                assert world.simulators["a"].open_exchanges == 1
                assert world.simulators["b"].open_exchanges == 1
                assert world.gateway.live.in_flight == 2
                if stream:
                    await trio.sleep_until(start + USUAL * (BUCKET + 1) + 0.001)
                    assert world.simulators["a"].open_exchanges == 0
                    assert world.simulators["a"].aborted == 1
                    assert world.gateway.live.in_flight == 1
                    assert not client.answer.finished
            assert world.simulators["a"].aborted == 1
            assert world.simulators["b"].aborted == 0

    in_virtual_time(scenario)


def test_a_primary_that_comes_first_after_all_wins_and_the_hedge_is_cut_off() -> None:
    async def scenario() -> None:
        async with trained(race_config("ab"), "ab", stream=True) as world:
            plan(world, "a", ttft=USUAL * BUCKET + 0.1)
            served = await ask(world, stream=True, max_tokens=3)
            assert (served.provider, served.attempts, served.hedged) == ("a", 2, False)
            assert world.simulators["b"].aborted == 1

    in_virtual_time(scenario)


def test_nothing_is_hedged_before_enough_is_known() -> None:
    async def scenario() -> None:
        async with open_world(STEADY, config=race_config("ab"), hosts="ab") as world:
            plan(world, "a", ttft=SLOW)
            served = await ask(world, stream=True, max_tokens=3)
            assert (served.provider, served.head_after) == ("a", SLOW)
            assert everything_received(world) == 1
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    "config",
    [
        race_config("ab", model={"hedge": False}),
        race_config("ab", race=RaceConfig(hedge=False)),
        race_config("ab", race=RaceConfig(budget_ratio=0.0, budget_burst=0.0)),
        race_config("ab", race=RaceConfig(max_attempts=1)),
    ],
    ids=["off for the model", "off for all", "no budget", "one attempt"],
)
def test_a_straggler_is_waited_for_where_hedging_is_not_wanted(config: Config) -> None:
    async def scenario() -> None:
        async with trained(config, "ab", stream=True) as world:
            plan(world, "a", ttft=SLOW)
            served = await ask(world, stream=True, max_tokens=3)
            assert (served.provider, served.head_after, served.attempts) == ("a", SLOW, 1)
            assert received(world, "b") == 0

    in_virtual_time(scenario)


def test_hedging_may_be_on_for_one_model_alone() -> None:
    async def scenario() -> None:
        config = race_config("ab", race=RaceConfig(hedge=False), model={"hedge": True})
        async with trained(config, "ab", stream=True) as world:
            plan(world, "a", ttft=SLOW)
            assert (await ask(world, stream=True, max_tokens=3)).provider == "b"

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
@pytest.mark.parametrize(
    ("model", "general", "header", "after"),
    [
        (0.7, True, None, 0.7),
        (0.7, False, None, 0.7),
        (None, True, "0.3", 0.3),
        (None, False, "0.3", 0.3),
        (False, False, " 1.5 ", 1.5),
        (0.7, True, "0.3", 0.3),
        (0.7, False, "on", 0.7),
        (0.7, True, "off", None),
        (None, True, "off", None),
        (False, True, None, None),
        (False, True, "off", None),
    ],
)
def test_a_model_or_a_request_may_set_when_a_hedge_begins(
    model: bool | float | None, general: bool, header: str | None, after: float | None, stream: bool
) -> None:
    """Nothing has been learned here, so the seconds alone decide."""

    async def scenario() -> None:
        race = RaceConfig(hedge=general, budget_ratio=1.0)
        config = race_config("ab", model={"hedge": model}, race=race)
        async with open_world(STEADY, config=config, hosts="ab") as world:
            plan(world, "a", ttft=SLOW)
            served = await ask(world, stream=stream, max_tokens=3, hedge=header)
            if after is None:
                assert (served.provider, served.head_after, served.attempts) == ("a", SLOW, 1)
            else:
                assert (served.provider, served.hedged) == ("b", True)
                assert served.head_after == pytest.approx(after + USUAL)
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_request_may_turn_on_what_is_learned_where_hedging_is_off() -> None:
    async def scenario() -> None:
        async with trained(race_config("ab", model={"hedge": False}), "ab", stream=True) as world:
            plan(world, "a", ttft=SLOW)
            served = await ask(world, stream=True, max_tokens=3, hedge="on")
            assert (served.provider, served.hedged) == ("b", True)
            assert 2 * USUAL <= served.head_after <= (1 + BUCKET) * USUAL + 1e-6

    in_virtual_time(scenario)


def test_a_hedge_that_is_timed_is_paid_for_by_the_budget_as_any_other() -> None:
    async def scenario() -> None:
        race = RaceConfig(budget_ratio=0.0)
        async with open_world(STEADY, config=race_config("ab", race=race), hosts="ab") as world:
            plan(world, "a", ttft=SLOW)
            served = await ask(world, stream=True, hedge="0.3")
            assert (served.provider, served.attempts) == ("a", 1)

    in_virtual_time(scenario)


def test_a_header_that_makes_no_sense_is_refused_before_anybody_is_asked() -> None:
    async def scenario() -> None:
        async with open_world(STEADY, config=race_config("ab"), hosts="ab") as world:
            served = await ask(world, hedge="soon")
            assert (served.status, served.code) == (400, "invalid_header")
            assert everything_received(world) == 0
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_hedge_that_fails_is_followed_by_the_next_at_once() -> None:
    async def scenario() -> None:
        async with trained(race_config("abc"), "abc", stream=True) as world:
            plan(world, "a", ttft=SLOW)
            plan(world, "b", status=503)
            served = await ask(world, stream=True, max_tokens=3)
            assert (served.provider, served.attempts, served.hedged) == ("c", 3, True)
            assert 2 * USUAL <= served.head_after <= (1 + BUCKET) * USUAL + 1e-6

    in_virtual_time(scenario)


def test_a_primary_that_fails_after_its_hedge_began_leaves_the_hedge_to_win() -> None:
    async def scenario() -> None:
        async with trained(race_config("ab"), "ab", stream=True) as world:
            plan(world, "a", delay_head=USUAL * BUCKET + 0.05, status=500)
            served = await ask(world, stream=True, max_tokens=3)
            assert (served.provider, served.attempts) == ("b", 2)
            assert served.head_after <= (1 + BUCKET) * USUAL + 1e-6

    in_virtual_time(scenario)


def test_a_tier_that_is_silent_is_joined_by_the_next_and_by_the_one_after_if_that_fails() -> None:
    async def scenario() -> None:
        config = race_config("a", "b", "c", race=RaceConfig(slow_first_token=4.0))
        async with trained(config, "abc", stream=True) as world:
            plan(world, "a", silence=True)
            plan(world, "b", status=500)
            served = await ask(world, stream=True, max_tokens=3)
            assert (served.provider, served.attempts) == ("c", 3)
            assert served.head_after == pytest.approx(4 + USUAL)

    in_virtual_time(scenario)


@pytest.mark.parametrize("leaves_after", [0.1, 0.3, 0.40001, 0.5])
def test_i7_a_client_that_leaves_ends_all_attempts_at_once(leaves_after: float) -> None:
    async def scenario() -> None:
        async with trained(race_config("ab"), "ab", stream=True) as world:
            plan(world, "a", ttft=SLOW)
            client = Client(msgspec.json.encode(chat_fields(model="m", stream=True)))
            async with trio.open_nursery() as nursery:
                start = trio.current_time()
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(leaves_after)
                client.leave()
                await trio.testing.wait_all_tasks_blocked()
                assert trio.current_time() == start + leaves_after
                assert world.gateway.live.in_flight == 0
                assert not any(one.open_exchanges for one in world.simulators.values())

    in_virtual_time(scenario)

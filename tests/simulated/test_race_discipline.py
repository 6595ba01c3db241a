"""What failures are held against whom, over many requests: keys, ejections, probes, and the budget."""

from contextlib import ExitStack
from typing import Any

import pytest
import trio

from router.config import Config, RaceConfig, Secret
from router.simulator import Latency, Profile
from tests.simulated.race_world import (
    FOREVER,
    QUICK,
    LongestWait,
    Served,
    ask,
    everything_received,
    out_of_order,
    plan,
    race_config,
    received,
    seen,
)
from tests.simulated.world import World, in_virtual_time, open_world

RACE = RaceConfig()
FIRST_EJECTION = 5.0


async def ask_every(world: World, seconds: float, *, times: int, **fields: Any) -> list[Served]:
    """Ask so many times, a new request every few seconds, whatever became of the one before."""
    answers: list[Served] = []

    async def one() -> None:
        answers.append(await ask(world, max_tokens=2, **fields))

    async with trio.open_nursery() as nursery:
        for _ in range(times):
            nursery.start_soon(one)
            await trio.sleep(seconds)
    return answers


def within_budget(requests: int, seconds: float, race: RaceConfig = RACE) -> float:
    """The most upstream requests that so many client requests may lead to: the budget's own promise."""
    return (1 + race.budget_ratio) * requests + race.budget_burst + 0.1 * seconds


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_rejected_key_is_left_alone_for_a_minute_then_probed_by_one(status: int) -> None:
    async def scenario() -> None:
        async with open_world(QUICK, config=race_config("ab"), hosts="ab") as world:
            plan(world, "a", 2, status=status)
            assert (await ask(world)).attempts == 2
            for _ in range(20):
                assert (await ask(world)).attempts == 1
                await trio.sleep(2.9)
            assert received(world, "a") == 1
            await trio.sleep(2.1)
            assert (await ask(world)).attempts == 2  # a probe, refused again
            await ask_every(world, 1, times=119)
            assert received(world, "a") == 2  # now for two minutes
            await trio.sleep(2)
            served = await ask(world)
            assert (served.provider, served.attempts) == ("a", 1)
            assert (await ask(world)).provider == "a"
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_dead_key_leaves_the_others_of_its_pool_alone() -> None:
    async def scenario() -> None:
        config = race_config("a", keys=[Secret("sk-first-key"), Secret("sk-second-key")])
        async with open_world(QUICK, config=config, hosts="a") as world:
            plan(world, "a", status=401)
            assert (await ask(world)).status == 200
            for _ in range(20):
                assert (await ask(world)).attempts == 1
            sent = [r.header(b"authorization") for r in world.simulators["a"].requests]
            dead, alive = sent[:2]
            assert dead != alive
            assert set(sent[1:]) == {alive}
            await world.leak_check()

    in_virtual_time(scenario)


def test_when_every_candidate_is_parked_the_client_hears_when_the_first_comes_back() -> None:
    async def scenario() -> None:
        async with open_world(QUICK, config=race_config("ab", "c"), hosts="abc") as world:
            for host, seconds in (("a", 40), ("b", 20), ("c", 60)):
                plan(world, host, status=429, retry_after=seconds)
            first = await ask(world)
            assert (first.status, first.code, first.retry_after) == (
                503,
                "upstream_rate_limited",
                "20",
            )
            await trio.sleep(5)
            second = await ask(world)
            assert (second.status, second.code, second.retry_after) == (
                503,
                "upstream_exhausted",
                "15",
            )
            assert second.seconds == 0
            assert seen(world) == "a1 b1 c1"  # nobody was asked before the time it had named
            await trio.sleep(15)
            assert (await ask(world)).provider == "b"
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_request_that_comes_shortly_before_a_key_is_free_waits_for_it() -> None:
    async def scenario() -> None:
        async with open_world(QUICK, config=race_config("a", "b"), hosts="ab") as world:
            plan(world, "a", status=429, retry_after=20)
            assert (await ask(world)).provider == "b"
            await trio.sleep(18)
            served = await ask(world)
            assert (served.provider, served.attempts) == ("a", 1)
            assert served.seconds == pytest.approx(
                2
            )  # the key was parked at 0, the answer takes 0.1
            assert received(world, "a") == 2
            await world.leak_check()

    in_virtual_time(scenario)


def test_an_endpoint_that_keeps_failing_is_ejected_and_probed_by_exactly_one_request() -> None:
    async def scenario() -> None:
        config = race_config("ab")
        async with open_world(QUICK, config=config, hosts="ab", rng=LongestWait(1)) as world:
            plan(world, "a", 5, status=500)
            for _ in range(5):
                assert (await ask(world)).attempts == 2
            ejected_at = trio.current_time()
            await ask_every(world, 0.1, times=49)
            assert received(world, "a") == 5
            await trio.sleep_until(ejected_at + FIRST_EJECTION + 0.01)
            plan(world, "a", ttft=1)
            crowd = await ask_every(world, 0, times=20)
            assert received(world, "a") == 6
            assert sorted(served.provider or "" for served in crowd) == ["a"] + ["b"] * 19
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_failed_probe_costs_no_answer_and_doubles_the_ejection() -> None:
    async def scenario() -> None:
        config = race_config("ab")
        async with open_world(QUICK, config=config, hosts="ab", rng=LongestWait(1)) as world:
            with out_of_order(world, "a", status=500):
                answers = await ask_every(world, 0.25, times=4 * 90)
            assert {served.status for served in answers} == {200}
            # five failures; probes after 5, 10, 20, and then every 25 seconds
            assert received(world, "a") == 5 + 5
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_primary_that_was_down_for_a_minute_is_returned_to_within_half_a_minute() -> None:
    async def scenario() -> None:
        config = race_config("a", "b")
        async with open_world(QUICK, config=config, hosts="ab") as world:
            await ask_every(world, 0.5, times=20)
            assert received(world, "b") == 0
            with out_of_order(world, "a", status=503):
                down = await ask_every(world, 0.5, times=120)
            assert {served.status for served in down} == {200}
            while_down = received(world, "a") - 20
            assert while_down < 5 + 1 + 5  # until it was ejected, a retry, and then probes alone
            back = await ask_every(world, 0.5, times=60)
            assert {served.status for served in back} == {200}
            assert back[-1].provider == "a"
            at_last = await ask_every(world, 0.5, times=20)
            assert {served.provider for served in at_last} == {"a"}
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_lone_endpoint_is_asked_however_often_it_failed_and_back_at_once() -> None:
    async def scenario() -> None:
        async with open_world(QUICK, config=race_config("a"), hosts="a") as world:
            with out_of_order(world, "a", status=500):
                failed = await ask_every(world, 0.5, times=60)
            assert {served.status for served in failed} == {503}
            assert received(world, "a") >= 60
            assert (await ask(world)).status == 200
            assert {served.status for served in await ask_every(world, 0.1, times=50)} == {200}
            await world.leak_check()

    in_virtual_time(scenario)


FAILURES: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "500 with Retry-After 0": {"status": 500, "retry_after": 0},
    "429 with Retry-After 0": {"status": 429, "retry_after": 0},
    "429 with Retry-After 1": {"status": 429, "retry_after": 1},
    "reset": {"reset_before_head": True},
    "error inside a 200": {"error_event_after": 0},
    "silence": {"silence": True},
    "late 500": {"status": 500, "delay_head": 12},
}
ARRANGEMENTS: dict[str, Config] = {
    "three in a tier": race_config("abc"),
    "three tiers": race_config("a", "b", "c"),
    "two and one": race_config("ab", "c"),
}


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("name", FAILURES)
def test_i6_nothing_is_amplified_when_all_upstreams_fail(name: str, arrangement: str) -> None:
    async def scenario() -> None:
        config = ARRANGEMENTS[arrangement]
        async with open_world(QUICK, config=config, hosts="abc") as world:
            for host in "abc":
                plan(world, host, 3 * FOREVER, **FAILURES[name])
            start = trio.current_time()
            answers = await ask_every(world, 0.05, times=FOREVER, stream=True)
            assert {served.status for served in answers} == {503}
            seconds = trio.current_time() - start
            assert everything_received(world) <= within_budget(FOREVER, seconds)
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_i6_nothing_is_amplified_when_all_upstreams_become_slow(arrangement: str) -> None:
    async def scenario() -> None:
        usual = Profile(ttft=Latency.lognormal(0.3, 0.5))
        async with open_world(usual, config=ARRANGEMENTS[arrangement], hosts="abc") as world:
            start = trio.current_time()
            await ask_every(world, 0.05, times=FOREVER, stream=True)
            for host in "abc":
                plan(world, host, 3 * FOREVER, ttft=12)
            slow = await ask_every(world, 0.05, times=FOREVER, stream=True)
            assert {served.status for served in slow} == {200}
            seconds = trio.current_time() - start
            assert everything_received(world) <= within_budget(2 * FOREVER, seconds)
            assert everything_received(world) > 2 * FOREVER  # the budget was wanted
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
def test_all_is_well_with_the_first_request_after_everybody_was_down(arrangement: str) -> None:
    async def scenario() -> None:
        async with open_world(QUICK, config=ARRANGEMENTS[arrangement], hosts="abc") as world:
            with ExitStack() as outage:
                for host in "abc":
                    outage.enter_context(out_of_order(world, host, status=503))
                failed = await ask_every(world, 0.05, times=1000)
            assert {served.status for served in failed} == {503}
            assert {s.status for s in await ask_every(world, 0.05, times=100)} == {200}
            await world.leak_check()

    in_virtual_time(scenario)

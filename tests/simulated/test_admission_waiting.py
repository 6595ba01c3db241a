"""The short wait in virtual time: who waits instead of a 429, in which order, and for how long."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from limiter.demand import Limits
from router.simulator import Latency, Profile
from tests.conftest import SIZE
from tests.simulated.limit_world import (
    FREE_AGAIN,
    OTHER_MODEL,
    PROMPT,
    TOKENS,
    Answer,
    Customer,
    Customers,
    ask,
    ask_until_served,
    fields_of,
    limits_config,
    no_reservation_left,
    run,
    standing,
    together,
)
from tests.simulated.witness import Witness
from tests.simulated.world import INSTANT, MODEL, Client, World, in_virtual_time, open_world

WAIT = 5.0
ONE = Limits(tokens=TOKENS + PROMPT)
TWO_SECONDS = Profile(ttft=Latency.fixed(2.0))


@asynccontextmanager
async def waiting_world(
    *limits: Limits, profile: Profile = INSTANT, wait: float = WAIT, **config: Any
) -> AsyncIterator[tuple[World, list[Customer]]]:
    """A world with a key for each of these limits, in which requests may wait."""
    async with open_world(profile, config=limits_config(wait=wait, **config)) as world:
        customers = Customers(world)
        keys = [customers.key(limit) for limit in limits]
        yield world, keys
        await no_reservation_left(world, *keys)


async def full_until_free_again(world: World, who: Customer, *, but: float) -> None:
    """Fill the window of a key and wait until so many seconds are left of that."""
    assert (await ask(world, who)).status == 200
    await trio.sleep_until(FREE_AGAIN - but)


def test_a_request_that_fits_soon_waits_for_that_instead_of_a_429() -> None:
    async def scenario() -> None:
        async with waiting_world(ONE) as (world, [who]):
            await full_until_free_again(world, who, but=3)
            answer = await ask(world, who)
            assert (answer.status, round(answer.at, 3)) == (200, FREE_AGAIN)

    in_virtual_time(scenario)


@pytest.mark.parametrize(("wait", "served"), [(2.9, False), (3.1, True), (0.0, False)])
def test_what_will_not_fit_within_the_wait_is_refused_at_once(wait: float, served: bool) -> None:
    async def scenario() -> None:
        async with waiting_world(ONE, wait=wait) as (world, [who]):
            await full_until_free_again(world, who, but=3)
            answer = await ask(world, who)
            assert answer.status == (200 if served else 429)
            assert answer.at == pytest.approx(FREE_AGAIN - (0 if served else 3))

    in_virtual_time(scenario)


def test_a_call_waits_for_a_running_one_and_starts_as_that_ends() -> None:
    async def scenario() -> None:
        async with waiting_world(Limits(concurrency=1), profile=TWO_SECONDS) as (world, [who]):
            answers: list[Answer] = await together(world, 4, ask, who)
            ended = [(answer.status, round(answer.at, 3)) for answer in answers]
            # The third starts at 4, within its wait; the turn of the fourth would come at 6.
            assert ended == [(200, 2.0), (200, 4.0), (429, WAIT), (200, 6.0)]

    in_virtual_time(scenario)


def test_the_wait_ends_with_a_429_when_its_time_is_over() -> None:
    async def scenario() -> None:
        limits = Limits(concurrency=1)
        profile = Profile(ttft=Latency.fixed(60.0))
        async with (
            waiting_world(limits, profile=profile) as (world, [who]),
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(ask, world, who)
            await trio.sleep(1)
            answer = await ask(world, who)
            assert (answer.status, answer.error["type"]) == (429, "concurrency")
            assert answer.at == pytest.approx(1 + WAIT)
            nursery.cancel_scope.cancel()

    in_virtual_time(scenario)


def test_a_call_starts_as_a_running_one_gives_back_what_it_did_not_use() -> None:
    async def scenario() -> None:
        limits = Limits(tokens=TOKENS + 200)
        async with waiting_world(limits, profile=TWO_SECONDS) as (world, [who]):
            answers: list[Answer] = await together(world, 2, ask_for_little, who)
            assert [(answer.status, round(answer.at, 3)) for answer in answers] == [
                (200, 2.0),
                (200, 4.0),
            ]

    in_virtual_time(scenario)


def test_nobody_waits_for_running_calls_that_cannot_give_back_enough() -> None:
    async def scenario() -> None:
        async with waiting_world(ONE, profile=TWO_SECONDS) as (world, [who]):
            await ask(world, who)
            answer = (await together(world, 1, ask, who))[0]
            assert (answer.status, answer.at, answer.asked_at) == (429, 2.0, 2.0)

    in_virtual_time(scenario)


def test_fifty_clients_whose_real_use_fits_never_see_a_429() -> None:
    async def scenario() -> None:
        profile = Profile(ttft=Latency.fixed(0.4))
        async with waiting_world(Limits(tokens=10_000), profile=profile) as (world, [who]):
            answers: list[Answer] = await together(world, 50, ask_for_little, who)
            assert {answer.status for answer in answers} == {200}
            assert standing(world, who.subject).used_tokens < 10_000
            assert max(answer.at for answer in answers) < WAIT

    in_virtual_time(scenario)


async def ask_for_little(world: World, who: Customer) -> Answer:
    """Ask with a cap of a thousand tokens for an answer of a hundred."""
    return await ask(world, who, simulate={"tokens": 100})


def test_a_key_is_served_first_come_first_served() -> None:
    async def scenario() -> None:
        limits = Limits(requests=4)
        async with waiting_world(limits) as (world, [who]):
            served: list[int] = []

            async def one(number: int, tokens: int) -> None:
                assert (await ask(world, who, tokens=tokens)).status == 200
                served.append(number)

            for start in range(4):
                await trio.sleep_until(start + 0.5)
                assert (await ask(world, who)).status == 200
            await trio.sleep_until(FREE_AGAIN - 1)
            async with trio.open_nursery() as nursery:
                for number, tokens in enumerate((5000, 10, 900, 1)):
                    nursery.start_soon(one, number, tokens)
                    await trio.testing.wait_all_tasks_blocked()
            assert served == [0, 1, 2, 3]
            assert trio.current_time() == pytest.approx(FREE_AGAIN + 3)

    in_virtual_time(scenario)


def test_a_newcomer_that_would_fit_stands_behind_those_who_wait() -> None:
    async def scenario() -> None:
        async with waiting_world(Limits(tokens=2 * TOKENS)) as (world, [who]):
            await full_until_free_again(world, who, but=3)
            answers: list[Answer] = []

            async def keep(tokens: int) -> None:
                answers.append(await ask(world, who, tokens=tokens))

            async with trio.open_nursery() as nursery:
                for tokens in (1900, 10):
                    nursery.start_soon(keep, tokens)
                    await trio.testing.wait_all_tasks_blocked()
            assert [answer.status for answer in answers] == [200, 200]
            assert all(answer.at == pytest.approx(FREE_AGAIN) for answer in answers)

    in_virtual_time(scenario)


def test_keys_do_not_wait_for_each_other() -> None:
    async def scenario() -> None:
        async with waiting_world(ONE, ONE) as (world, [first, second]):
            await full_until_free_again(world, first, but=3)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, world, first)
                await trio.testing.wait_all_tasks_blocked()
                assert world.gateway.admission.waiting == 1
                answer = await ask(world, second)
                assert (answer.status, round(answer.at, 3)) == (200, FREE_AGAIN - 3)

    in_virtual_time(scenario)


def test_who_waits_for_a_models_limit_holds_up_no_other_model() -> None:
    async def scenario() -> None:
        async with waiting_world(Limits(), models={MODEL: ONE}) as (world, [who]):
            await full_until_free_again(world, who, but=3)
            async with trio.open_nursery() as nursery:
                for _ in range(3):
                    nursery.start_soon(ask, world, who)
                await trio.testing.wait_all_tasks_blocked()
                assert world.gateway.admission.waiting == 3
                other = await ask(world, who, model=OTHER_MODEL)
                assert (other.status, round(other.at, 3)) == (200, FREE_AGAIN - 3)
                same = await ask(world, who, tokens=1)
                assert same.at > FREE_AGAIN

    in_virtual_time(scenario)


def test_a_client_that_leaves_while_it_waits_gives_up_its_place() -> None:
    async def scenario() -> None:
        async with waiting_world(ONE) as (world, [who]):
            await full_until_free_again(world, who, but=3)
            answers: list[Answer] = []
            clients = [Client(msgspec.json.encode(fields_of())) for _ in range(3)]

            async def one(client: Client) -> None:
                answers.append(await run(world, who, client))

            async with trio.open_nursery() as nursery:
                for client in clients:
                    nursery.start_soon(one, client)
                    await trio.testing.wait_all_tasks_blocked()
                await trio.sleep(1)
                clients[0].leave()
                clients[2].leave()
                await trio.testing.wait_all_tasks_blocked()
                assert world.gateway.admission.waiting == 1
            assert [answer.status for answer in answers] == [0, 0, 200]
            assert answers[-1].at == pytest.approx(FREE_AGAIN)
            assert standing(world, who.subject).used_requests == 1
            gone = [line for line in world.log_lines() if line["outcome"] == "client_gone"]
            assert len(gone) == 2

    in_virtual_time(scenario)


@pytest.mark.parametrize("bound", ["most_waiting_per_key", "most_waiting"])
def test_whoever_finds_the_line_full_is_refused_at_once(bound: str) -> None:
    async def scenario() -> None:
        config: dict[str, Any] = {bound: 2}
        async with waiting_world(ONE, **config) as (world, [who]):
            await full_until_free_again(world, who, but=3)
            answers: list[Answer] = await together(world, 4, ask, who)
            refused = [a for a in answers if a.at == pytest.approx(FREE_AGAIN - 3)]
            assert [answer.status for answer in refused] == [429, 429]
            assert [answer.error["type"] for answer in refused] == ["tokens", "tokens"]

    in_virtual_time(scenario)


def test_a_full_line_without_limited_windows_says_so() -> None:
    async def scenario() -> None:
        limits, profile = Limits(concurrency=1), TWO_SECONDS
        async with waiting_world(limits, profile=profile, most_waiting_per_key=1) as (world, [who]):
            answers: list[Answer] = await together(world, 3, ask, who)
            [refused] = [answer for answer in answers if answer.status == 429]
            assert "are waiting" in refused.error["message"]
            assert 1.0 <= refused.retry_after < 1.01

    in_virtual_time(scenario)


def test_who_is_refused_is_told_a_moment_behind_those_who_wait() -> None:
    async def scenario() -> None:
        limits = Limits(tokens=2 * (TOKENS + PROMPT))
        async with waiting_world(limits, most_waiting_per_key=2) as (world, [who]):
            await ask(world, who)
            await trio.sleep(2)
            await ask(world, who)
            await trio.sleep_until(FREE_AGAIN - 3)
            tries = await together(world, 3, ask_until_served, who)
            served = sorted(answers[-1].at for answers in tries)
            # Those who wait take what comes free at 61 and at 63; the third is told to come after a window.
            assert served[0] == pytest.approx(FREE_AGAIN)
            assert served[1] == pytest.approx(FREE_AGAIN + 2)
            assert served[2] > FREE_AGAIN + 60
            assert sorted(len(answers) for answers in tries) == [1, 1, 2]

    in_virtual_time(scenario)


def test_those_who_waited_in_vain_come_back_as_told_and_are_admitted() -> None:
    async def scenario() -> None:
        async with waiting_world(Limits(tokens=2 * (TOKENS + PROMPT))) as (world, [who]):
            await ask(world, who)
            await ask(world, who)
            await trio.sleep_until(FREE_AGAIN - 3)
            tries = await together(world, 8, ask_until_served, who)
            assert [len(answers) for answers in tries] == [1, 1, 2, 2, 2, 2, 2, 2]
            last = tries[-1][-1].at
            assert last < FREE_AGAIN + 4 * 62, "no turn was left out"

    in_virtual_time(scenario)


@pytest.mark.parametrize("leaves", [False, True], ids=["served", "left"])
def test_who_has_been_served_or_has_left_is_not_waited_for(leaves: bool) -> None:
    async def scenario() -> None:
        limits = Limits(tokens=2 * (TOKENS + PROMPT))
        async with waiting_world(limits, wait=1.2) as (world, [who]):
            await ask(world, who)
            await trio.sleep_until(2.0)
            await ask(world, who)
            await trio.sleep_until(60.0)
            client = Client(msgspec.json.encode(fields_of()))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run, world, who, client)
                await trio.sleep(0.5)
                if leaves:
                    client.leave()
            await trio.sleep_until(61.2)
            if leaves:
                assert (await ask(world, who)).status == 200
            await trio.sleep_until(61.5)
            refused = await ask(world, who)
            assert refused.status == 429
            assert refused.at + refused.retry_after == pytest.approx(63.0, abs=0.01)

    in_virtual_time(scenario)


# All together


def test_i2_no_true_minute_of_any_key_holds_more_than_its_limit() -> None:
    """Random requests of several keys, which end in all ways; everything admitted is witnessed."""
    rng = random.Random(20261124)
    limits = [
        Limits(tokens=10_000),
        Limits(tokens=4000, concurrency=3),
        Limits(tokens=30_000, requests=12),
        Limits(requests=6),
    ]
    endings: list[dict[str, Any]] = [{}, {}, {}, {"status": 500}, {"cut_after": 3}, {"tokens": 5}]

    async def one(world: World, keys: list[Customer]) -> None:
        await trio.sleep(rng.uniform(0, 400))
        behaviour = {"ttft": rng.uniform(0, 20), **rng.choice(endings)}
        tokens = rng.choice([10, 300, 1500, 6000])
        fields = fields_of(tokens=tokens, simulate=behaviour, stream=rng.random() < 0.3)
        client = Client(msgspec.json.encode(fields))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run, world, rng.choice(keys), client)
            if rng.random() < 0.2:
                await trio.sleep(rng.uniform(0, 20))
                client.leave()

    async def scenario() -> None:
        models = {MODEL: Limits(tokens=25_000)}
        async with waiting_world(*limits, models=models) as (world, keys):
            witness = Witness(world.limiter)
            async with trio.open_nursery() as nursery:
                for _ in range(400 * SIZE):
                    nursery.start_soon(one, world, keys)
            bounds = {who.subject: who.key.limits for who in keys}
            assert len(witness.admitted) > 100
            witness.assert_within({**bounds, f"model:{MODEL}": models[MODEL]})
            outcomes = {line["outcome"] for line in world.log_lines()}
            assert {"ok", "client_error", "client_gone", "upstream_error"} <= outcomes
            assert "bug" not in outcomes

    in_virtual_time(scenario)

"""Drains in virtual time: what nobody waits for is read to its usage, within a time, and nothing is left.

The provider `a` is asked first and `b` as its hedge, half a second later. An answer has 12 tokens, one every
tenth of a second after the first.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from adapters.dialect import Usage
from router.config import RaceConfig
from router.exchange.books import Charge, Role
from router.exchange.live import Fate
from router.simulator import Latency, Profile
from tests.conftest import SIZE
from tests.simulated.race_world import CHAT, ask, plan, race_config
from tests.simulated.world import Client, World, chat_fields, in_virtual_time, open_world

FIRST_TOKEN = 0.2
GAP = 0.1
TOKENS = 12
WHOLE = FIRST_TOKEN + TOKENS * GAP
DRAIN = 5.0
TRUE = Usage(input_tokens=6, output_tokens=TOKENS)
PROFILE = Profile(ttft=Latency.fixed(FIRST_TOKEN), gap=Latency.fixed(GAP), tokens=TOKENS)
STREAM = [False, True]
FORMS = ["whole", "stream"]


@asynccontextmanager
async def draining(seconds: float = DRAIN, **limits: Any) -> AsyncIterator[World]:
    race = RaceConfig(drain_seconds=seconds, budget_ratio=1.0, **limits)
    config = race_config("ab", model={"hedge": 0.5}, race=race)
    async with open_world(PROFILE, config=config, hosts="ab") as world, trio.open_nursery() as ours:
        await ours.start(world.gateway.drains.run)
        yield world
        ours.cancel_scope.cancel()


async def leave_after(world: World, seconds: float, *, stream: bool) -> Client:
    """Ask, and leave after so many seconds; return when the request is over."""
    client = Client(msgspec.json.encode(chat_fields(model="m", stream=stream)))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(world.run, client, CHAT)
        await trio.sleep(seconds)
        client.leave()
    return client


def late_charge(world: World) -> Charge:
    (bill,) = world.gateway.late
    assert bill.ending == "drained"
    (charge,) = bill.charges
    assert charge.payer == "operator"
    return charge


def less(usage: Usage, billed: Usage) -> Usage:
    return Usage(
        input_tokens=max(0, usage.input_tokens - billed.input_tokens),
        output_tokens=usage.output_tokens - billed.output_tokens,
    )


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
def test_a_hedge_loser_is_read_to_its_usage(stream: bool) -> None:
    async def scenario() -> None:
        async with draining() as world:
            plan(world, "a", ttft=3.0)
            served = await ask(world, stream=stream)
            assert served.hedged
            loser, winner = world.gateway.bills[0].bill.charges
            assert (loser.fate, loser.payer, loser.usage.output_tokens) == (
                Fate.ABANDONED,
                "operator",
                0,
            )
            assert (winner.payer, winner.usage) == ("customer", TRUE)
            assert world.gateway.drains.in_flight == 1
            assert world.simulators["a"].open_exchanges == 1
            await trio.sleep(DRAIN)
            charge = late_charge(world)
            assert (charge.provider, charge.role) == ("a", Role.FIRST)
            assert charge.usage == less(TRUE, loser.usage)
            assert world.simulators["a"].completed == 1
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_loser_that_ends_before_the_winner_does_is_in_the_first_bill() -> None:
    async def scenario() -> None:
        async with draining() as world:
            plan(world, "a", ttft=0.8, gap=0.0)
            plan(world, "b", ttft=0.2, gap=0.3)
            await ask(world, stream=True)
            loser, winner = world.gateway.bills[0].bill.charges
            assert (loser.payer, loser.usage) == ("operator", TRUE)
            assert (winner.payer, winner.usage) == ("customer", TRUE)
            assert not world.gateway.late
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("stream", "leaves_after"),
    [(True, 0.1), (True, 0.25), (True, 0.45), (False, 0.1), (False, 1.0)],
)
def test_the_answer_of_a_client_that_left_is_read_to_its_usage(
    stream: bool, leaves_after: float
) -> None:
    async def scenario() -> None:
        async with draining() as world:
            plan(
                world, "b", reset_before_head=True
            )  # the hedge of the slower cases, out of the way
            start = trio.current_time()
            client = await leave_after(world, leaves_after, stream=stream)
            billed = world.gateway.bills[0].bill.customer
            assert billed is not None
            assert (billed.provider, billed.fate) == ("a", Fate.ABANDONED)
            assert billed.usage.output_tokens <= len(client.answer.body)
            await trio.sleep_until(start + WHOLE - 0.01)
            assert not world.gateway.late
            assert world.gateway.drains.in_flight == 1
            await trio.sleep(0.02)
            assert late_charge(world).usage == less(TRUE, billed.usage)
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
@pytest.mark.parametrize(
    "behaviour",
    [{"silence": True}, {"stall_after": 3}, {"ttft": 4.0, "gap": 2.0}],
    ids=["silent", "stalled", "slow"],
)
def test_a_drain_is_bounded_by_time_from_when_nobody_waited(
    behaviour: dict[str, Any], stream: bool
) -> None:
    async def scenario() -> None:
        async with draining(max_attempts=1) as world:
            plan(world, "a", **behaviour)
            await leave_after(world, 1.0, stream=stream)
            await trio.sleep(DRAIN - 0.01)
            assert world.gateway.drains.in_flight == 1
            assert world.simulators["a"].open_exchanges == 1
            await trio.sleep(0.02)
            assert world.simulators["a"].open_exchanges == 0
            assert not world.gateway.late
            await world.leak_check()

    in_virtual_time(scenario)


def test_what_has_not_been_sent_yet_is_never_sent_for_its_usages_sake() -> None:
    async def slow_dial() -> None:
        await trio.sleep(2)

    async def scenario() -> None:
        async with draining() as world:
            world.dialling = slow_dial
            await leave_after(world, 0.1, stream=True)
            assert world.gateway.drains.in_flight == 0
            assert world.gateway.bills[0].bill.customer is None
            await trio.sleep(DRAIN)
            assert not world.simulators["a"].requests
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("left", [0.1, 0.7], ids=["before the answer", "within it"])
def test_shutdown_ends_every_drain_at_once(left: float) -> None:
    async def scenario() -> None:
        config = race_config("ab", race=RaceConfig(drain_seconds=DRAIN))
        async with open_world(PROFILE, config=config, hosts="ab") as world:
            async with trio.open_nursery() as ours:
                await ours.start(world.gateway.drains.run)
                plan(world, "a", gap=0.2)
                await leave_after(world, left, stream=True)
                assert world.gateway.drains.in_flight == 1
                ours.cancel_scope.cancel()
            assert world.gateway.drains.in_flight == 0
            await world.leak_check()
            answered = await ask(world)  # and what comes now ends with whoever waits for it
            assert answered.status == 200
            await leave_after(world, 0.1, stream=True)
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_request_that_still_waits_when_the_drains_end_is_answered() -> None:
    """Its attempt has ended with them; the next one runs where it is awaited."""

    async def scenario() -> None:
        config = race_config("a", race=RaceConfig(drain_seconds=DRAIN))
        async with open_world(PROFILE, config=config, hosts="a") as world:
            scope = trio.CancelScope()

            async def drains(task_status: trio.TaskStatus[None]) -> None:
                with scope:
                    await world.gateway.drains.run(task_status=task_status)

            async def waits() -> None:
                assert (await ask(world)).attempts == 2

            async with trio.open_nursery() as nursery:
                await nursery.start(drains)
                plan(world, "a", silence=True)
                nursery.start_soon(waits)
                await trio.sleep(1)
                scope.cancel()
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
def test_with_a_time_of_zero_everything_ends_at_once(stream: bool) -> None:
    async def scenario() -> None:
        async with draining(0.0) as world:
            plan(world, "a", ttft=3.0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, world)
                await trio.sleep(0.5 + WHOLE + 0.01)
                assert world.simulators["a"].aborted == 1
            await leave_after(world, 0.3, stream=stream)
            await world.leak_check()
            assert not world.gateway.late

    in_virtual_time(scenario)


def test_beyond_the_most_drains_the_rest_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.exchange.drains.MOST_DRAINS", 2)

    async def scenario() -> None:
        async with draining(max_attempts=1) as world:
            async with trio.open_nursery() as nursery:
                for stream in (True, True, True, False):
                    nursery.start_soon(lambda s: leave_after(world, 0.25, stream=s), stream)
            await trio.testing.wait_all_tasks_blocked()  # the providers have heard of it too
            assert world.gateway.drains.in_flight == 2
            await trio.testing.wait_all_tasks_blocked()  # until the provider has heard of it
            assert sum(one.open_exchanges for one in world.simulators.values()) == 2
            await trio.sleep(DRAIN)
            assert len(world.gateway.late) == 2
            await world.leak_check()

    in_virtual_time(scenario)


def test_nothing_is_left_over_wherever_a_request_and_its_drain_are_cancelled() -> None:
    """At random moments: the client leaves, and some time later the process ends."""
    rng = Random(1)
    late = 0

    async def scenario() -> None:
        nonlocal late
        behaviours: list[dict[str, Any]] = [
            {},
            {"ttft": 0.9},
            {"cut_after": 5},
            {"omit_usage": True},
            {"stall_after": 2},
            {"reset_before_head": True},
            {"keep_open_after_done": 3.0},
        ]
        config = race_config("ab", model={"hedge": 0.3}, race=RaceConfig(drain_seconds=2.0))
        async with open_world(PROFILE, config=config, hosts="ab") as world:
            async with trio.open_nursery() as ours:
                await ours.start(world.gateway.drains.run)
                for host in "ab":
                    plan(world, host, **rng.choice(behaviours))
                scope = trio.CancelScope(deadline=trio.current_time() + rng.uniform(0, 2))
                with scope:
                    await ask(world, stream=rng.random() < 0.7)
                await trio.sleep(rng.choice([0.0, rng.uniform(0, 2), 5.0]))
                ours.cancel_scope.cancel()
            late += len(world.gateway.late)
            await world.leak_check()

    for _ in range(100 * SIZE):
        in_virtual_time(scenario)
    assert late > 0

"""The limit of a whole call holds whatever the call waits for, to the second, and nobody is blamed for it."""

from typing import Any

import msgspec
import pytest
import trio

from router.config import Config, RaceConfig, TimeoutConfig
from tests.simulated.race_world import AT_ONCE, CHAT, ask, plan, race_config, seen
from tests.simulated.world import Client, chat_fields, in_virtual_time, open_world

TOTAL = 10.0
STREAM = [False, True]
FORMS = ["whole", "stream"]


def limited(*tiers: str, first_byte: float = 30.0, **race: Any) -> Config:
    config = race_config(*tiers, race=RaceConfig(**race))
    limits = TimeoutConfig(connect=5, first_byte=first_byte, idle=20, total=TOTAL)
    return msgspec.structs.replace(
        config,
        providers={
            name: msgspec.structs.replace(one, timeouts=limits)
            for name, one in config.providers.items()
        },
    )


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
@pytest.mark.parametrize("drain", [0.0, 60.0], ids=["cancelled", "read on"])
@pytest.mark.parametrize(
    ("tiers", "who"), [("a", "a1"), ("ab", "a1 b0"), ("abc", "a1 b1 c0")], ids=str
)
def test_the_limit_ends_every_attempt_that_runs(
    tiers: str, who: str, drain: float, stream: bool
) -> None:
    """Of three, the second has joined the first before, which has another second to be served by."""

    async def scenario() -> None:
        config = limited(
            tiers, slow_first_token=6.0 if len(tiers) > 2 else 30.0, drain_seconds=drain
        )
        async with open_world(AT_ONCE, config=config, hosts=tiers) as world:
            async with trio.open_nursery() as ours:
                await ours.start(world.gateway.drains.run)
                served = await ask(world, stream=stream, simulate={"ttft": 20})
                assert (served.status, served.code) == (503, "upstream_timeout")
                assert served.answer.json()["error"]["message"] == (
                    "The call took longer than 10 seconds."
                )
                assert (served.head_after, seen(world)) == (TOTAL, who)
                assert bool(world.gateway.drains.in_flight) == bool(drain)
                await trio.sleep(drain)
                ours.cancel_scope.cancel()
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
def test_the_limit_ends_a_wait_for_a_parked_key(stream: bool) -> None:
    async def scenario() -> None:
        config = limited("a", patience=60.0)
        async with open_world(AT_ONCE, config=config, hosts="a") as world:
            plan(world, "a", status=429, retry_after=30)
            served = await ask(world, stream=stream)
            assert (served.status, served.code) == (503, "upstream_timeout")
            assert (served.head_after, seen(world)) == (TOTAL, "a1")
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
def test_the_limit_holds_for_an_attempt_that_follows_others(stream: bool) -> None:
    async def scenario() -> None:
        config = limited("ab", first_byte=6.0, slow_first_token=30.0)
        async with open_world(AT_ONCE, config=config, hosts="ab") as world:
            served = await ask(world, stream=stream, simulate={"ttft": 20})
            assert (served.status, served.head_after, seen(world)) == (503, TOTAL, "a1 b1")
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
def test_the_limit_holds_for_a_hedge_that_outlives_whom_it_joined(stream: bool) -> None:
    async def scenario() -> None:
        config = limited("ab", first_byte=8.0, slow_first_token=30.0, budget_ratio=1.0)
        async with open_world(AT_ONCE, config=config, hosts="ab") as world:
            served = await ask(world, hedge="4", stream=stream, simulate={"ttft": 20})
            assert (served.status, served.head_after, seen(world)) == (503, TOTAL, "a1 b1")
            assert served.code == "upstream_timeout"
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("first_byte", "told", "after"),
    [
        (9.0, "The provider a did not begin to answer within 9 seconds.", 9.0),
        (10.0, "The call took longer than 10 seconds.", 10.0),
    ],
    ids=["sooner", "at once"],
)
@pytest.mark.parametrize("stream", STREAM, ids=FORMS)
def test_an_attempt_s_own_limit_is_told_only_where_it_comes_first(
    stream: bool, first_byte: float, told: str, after: float
) -> None:
    async def scenario() -> None:
        config = limited("a", first_byte=first_byte)
        async with open_world(AT_ONCE, config=config, hosts="a") as world:
            served = await ask(world, stream=stream, simulate={"silence": True})
            assert served.answer.json()["error"]["message"] == told
            assert (served.status, served.head_after) == (503, after)
            await world.leak_check()

    in_virtual_time(scenario)


def test_whom_the_limit_ended_is_asked_again_as_if_nothing_had_been() -> None:
    async def scenario() -> None:
        async with open_world(AT_ONCE, config=limited("a"), hosts="a") as world:
            for _ in range(10):  # more than an endpoint may fail in a row
                assert (await ask(world, simulate={"silence": True})).status == 503
            assert (await ask(world)).status == 200
            await world.leak_check()

    in_virtual_time(scenario)


class Deaf(Client):
    """Takes the head of its answer, and then nothing for long."""

    async def send(self, message: Any) -> None:
        await super().send(message)
        if message["type"] == "http.response.start":
            await trio.sleep(60)


def test_a_client_that_does_not_take_a_whole_answer_is_given_up_at_the_limit() -> None:
    async def scenario() -> None:
        async with open_world(AT_ONCE, config=limited("a"), hosts="a") as world:
            client = Deaf(msgspec.json.encode(chat_fields(model="m", simulate={"ttft": 4})))
            start = trio.current_time()
            await world.run(client, CHAT)
            assert trio.current_time() - start == TOTAL
            assert client.answer.status == 200
            assert not client.answer.finished
            await world.leak_check()
            assert world.log_lines()[0]["outcome"] == "cut"

    in_virtual_time(scenario)

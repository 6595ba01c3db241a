"""Vertex AI with a service account's key file, through the whole gateway in virtual time."""

from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from router.config import Config
from router.routing.key_health import KeyLimits
from router.routing.token_life import REFRESH_SECONDS, SPARE_SECONDS
from router.simulator import Simulator
from tests.simulated.dialect_world import (
    ACCESS_KEY,
    CHAT,
    UPSTREAM_KEY,
    dialect_config,
    open_dialects,
    plan,
    provider,
    received,
)
from tests.simulated.race_world import ask
from tests.simulated.service_account import TOKEN_HOST, key_file, known_accounts
from tests.simulated.world import Client, World, chat_fields, in_virtual_time

HOUR = 3599.0  # that a token holds


def account_config(*beside: str, **changes: Any) -> Config:
    """`m` at Vertex AI by a service account, and at the providers beside it."""
    config = dialect_config("vertex", *beside)
    vertex = provider("vertex", 1000.0**2, key=key_file(**changes))
    return msgspec.structs.replace(config, providers={**config.providers, "vertex": vertex})


def open_accounts(*beside: str, **changes: Any) -> AbstractAsyncContextManager[World]:
    made = partial(
        Simulator,
        required_keys=[UPSTREAM_KEY, ACCESS_KEY],
        service_accounts=known_accounts(),
    )
    hosts = ("vertex", *beside, TOKEN_HOST)
    config = account_config(*beside, **changes)
    return open_dialects(config=config, provider=made, hosts=hosts)


def bearers_of(world: World) -> set[bytes | None]:
    """The tokens with which Vertex AI was asked."""
    return {one.header(b"authorization") for one in world.simulators["vertex"].requests}


def test_one_token_serves_every_request_until_it_is_about_to_end() -> None:
    async def scenario() -> None:
        async with open_accounts() as world:
            for stream in (False, True, False):
                assert (await ask(world, stream=stream)).status == 200
            assert (received(world, TOKEN_HOST), received(world, "vertex")) == (1, 3)
            [bearer] = bearers_of(world)
            assert (bearer or b"").startswith(b"Bearer ya29.")
            await trio.sleep(HOUR - REFRESH_SECONDS - 1)
            assert (await ask(world)).status == 200
            assert received(world, TOKEN_HOST) == 1
            await trio.sleep(2)
            assert (await ask(world)).status == 200
            assert (received(world, TOKEN_HOST), len(bearers_of(world))) == (2, 2)
            await world.leak_check()

    in_virtual_time(scenario)


def test_many_that_come_at_once_wait_for_one_fetch() -> None:
    async def scenario() -> None:
        async with open_accounts() as world:
            plan(world, TOKEN_HOST, ttft=1.5)
            served = []

            async def one() -> None:
                served.append(await ask(world))

            async with trio.open_nursery() as nursery:
                for _ in range(40):
                    nursery.start_soon(one)
            assert {(one.status, one.seconds) for one in served} == {(200, 1.5)}
            assert (received(world, TOKEN_HOST), received(world, "vertex")) == (1, 40)
            await world.leak_check()

    in_virtual_time(scenario)


def test_while_the_next_token_is_fetched_nobody_else_waits() -> None:
    async def scenario() -> None:
        async with open_accounts() as world:
            await ask(world)
            await trio.sleep(HOUR - REFRESH_SECONDS)
            plan(world, TOKEN_HOST, ttft=2.0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, world)
                await trio.testing.wait_all_tasks_blocked()
                assert (await ask(world)).seconds == 0
                assert received(world, TOKEN_HOST) == 2
            await world.leak_check()

    in_virtual_time(scenario)


def test_whoever_leaves_while_fetching_is_followed_by_the_next() -> None:
    async def scenario() -> None:
        async with open_accounts() as world:
            plan(world, TOKEN_HOST, ttft=3.0)
            leaver = Client(msgspec.json.encode(chat_fields(model="m")))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, leaver, CHAT)
                await trio.sleep(1)
                nursery.start_soon(later, world, leaver)
                served = await ask(world)
            assert (served.status, served.seconds) == (200, 1)
            assert (received(world, TOKEN_HOST), received(world, "vertex")) == (2, 1)
            await world.leak_check()

    async def later(world: World, leaver: Client) -> None:
        await trio.sleep(1)
        leaver.leave()

    in_virtual_time(scenario)


FAILURES: dict[str, dict[str, Any]] = {
    "a refusal": {"status": 400},
    "an error of its own": {"status": 503},
    "a limit": {"status": 429},
    "broken JSON": {"malformed_at": 0},
    "a cut": {"cut_after": 0},
    "a reset": {"reset_before_head": True},
    "silence": {"silence": True},
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_token_that_is_not_to_be_had_is_the_providers_fault_and_fails_over(name: str) -> None:
    async def scenario() -> None:
        async with open_accounts("openai") as world:
            plan(world, TOKEN_HOST, 9, **FAILURES[name])
            served = await ask(world)
            assert (served.status, served.provider) == (200, "openai")
            assert served.seconds == (5 if name == "silence" else 0)  # the limit for connecting
            assert (received(world, TOKEN_HOST), received(world, "vertex")) == (1, 0)
            await world.leak_check()

    in_virtual_time(scenario)


def test_those_who_wait_for_a_fetch_that_fails_fail_with_it() -> None:
    async def scenario() -> None:
        async with open_accounts("openai") as world:
            plan(world, TOKEN_HOST, 9, status=400, delay_head=1.0)
            served = []

            async def one() -> None:
                served.append(await ask(world))

            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(one)
            assert {(one.provider, one.seconds) for one in served} == {("openai", 1)}
            assert received(world, TOKEN_HOST) == 1
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_token_service_that_is_away_for_a_while_is_not_noticed() -> None:
    async def scenario() -> None:
        async with open_accounts() as world:
            await ask(world)
            plan(world, TOKEN_HOST, 2, status=503)
            await trio.sleep(HOUR - REFRESH_SECONDS)
            for _ in range(4):
                served = await ask(world)
                assert (served.status, served.seconds) == (200, 0)
                await trio.sleep(6)
            assert received(world, TOKEN_HOST) == 3  # no more than one in ten seconds
            await trio.sleep(20)
            assert (await ask(world)).status == 200
            assert len(bearers_of(world)) == 2
            await world.leak_check()

    in_virtual_time(scenario)


def test_a_token_that_ends_before_it_said_is_refused_once_and_then_forgotten() -> None:
    async def scenario() -> None:
        async with open_accounts("openai") as world:
            plan(world, TOKEN_HOST, extra={"expires_in": 10 * HOUR})
            await ask(world)
            await trio.sleep(HOUR + SPARE_SECONDS)
            served = await ask(world)
            assert (served.status, served.provider) == (200, "openai")
            assert received(world, TOKEN_HOST) == 1
            await trio.sleep(KeyLimits().dead)
            assert (await ask(world)).provider == "vertex"
            assert (received(world, TOKEN_HOST), len(bearers_of(world))) == (2, 2)

    in_virtual_time(scenario)


@pytest.mark.parametrize("after", [None, 0, 30], ids=["instead", "at once", "in the middle"])
def test_no_secret_of_an_account_is_told_or_logged(after: int | None) -> None:
    async def scenario() -> None:
        async with open_accounts() as world:
            await ask(world)
            [bearer] = bearers_of(world)
            token = (bearer or b"").removeprefix(b"Bearer ").decode()
            error = {"code": 500, "message": f"bad token {token}", "status": "INTERNAL"}
            ordered = {"status": 500} if after is None else {"error_event_after": after}
            plan(world, "vertex", 9, error=error, tokens=40, **ordered)
            served = await ask(world, stream=True)
            told = served.answer.body + world.log.getvalue()
            assert b"bad token ***" in served.answer.body
            assert token.encode() not in told
            assert b"PRIVATE KEY" not in told

    in_virtual_time(scenario)

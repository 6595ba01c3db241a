"""One attempt that is given up while its task goes on: it ends, asks nobody, and leaves nothing behind."""

from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from adapters.dialect import Call
from router.exchange.attempt import Attempts, Means
from router.exchange.company import GivenUp
from router.exchange.live import Run
from router.exchange.stream_attempt import open_stream
from router.simulator import Latency, Profile
from tests.simulated.world import World, in_virtual_time, open_world

SECONDS = 2.0
SLOW = Profile(ttft=Latency.fixed(SECONDS))
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def attempt_at(world: World, *, stream: bool) -> tuple[Run, Coroutine[Any, Any, object]]:
    """Make an attempt at the only candidate, which runs when it is awaited."""
    gateway = world.gateway
    means = Means(
        client=gateway.client,
        alarms=gateway.alarms,
        bearers=gateway.bearers,
        fetch_all=None,
        wall_clock=lambda: 0.0,
        trace_headers=lambda _record: [],
    )
    route = gateway.catalog.resolve("openai/gpt-4o-mini")
    assert route is not None
    run = Run(gateway.live.of(route.tiers[0][0]).contender("whole"), trio.current_time())
    fields = {"messages": msgspec.Raw(b'[{"role":"user","content":"Hi"}]')}
    if stream:
        fields["stream"] = msgspec.Raw(b"true")
    call = Call(endpoint="chat", model=route.id, fields=fields, stream=stream)
    attempts = Attempts(call, means, [])
    return run, open_stream(attempts, run) if stream else attempts.answer(run)


async def given_up(run: Run, attempt: Coroutine[Any, Any, object]) -> None:
    with pytest.raises(GivenUp):
        await attempt
    run.abandoned(trio.current_time())


@STREAM
@pytest.mark.parametrize("kept", [False, True], ids=["no connection", "a kept connection"])
def test_who_is_given_up_before_its_request_goes_out_asks_nobody(stream: bool, kept: bool) -> None:
    async def scenario() -> None:
        async with open_world(SLOW) as world:
            if kept:
                assert (await world.chat()).status == 200
            asked = len(world.simulator.requests)
            run, attempt = attempt_at(world, stream=stream)
            run.give_up()
            await given_up(run, attempt)
            assert not run.has_asked
            assert len(world.simulator.requests) == asked
            assert world.gateway.alarms.pending == 0
            await world.leak_check()

    in_virtual_time(scenario)


@STREAM
def test_who_is_given_up_while_it_waits_ends_at_once_and_its_task_goes_on(stream: bool) -> None:
    async def scenario() -> None:
        async with open_world(SLOW) as world:
            run, attempt = attempt_at(world, stream=stream)
            start = trio.current_time()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(given_up, run, attempt)
                await trio.sleep(SECONDS / 2)
                run.give_up()
            assert trio.current_time() - start == SECONDS / 2
            await trio.testing.wait_all_tasks_blocked()
            assert world.simulator.aborted == 1
            assert world.gateway.alarms.pending == 0
            await world.leak_check()

    in_virtual_time(scenario)


@STREAM
def test_giving_up_what_has_ended_touches_nobody_who_has_its_connection_now(stream: bool) -> None:
    async def scenario() -> None:
        async with open_world(SLOW) as world:
            run, attempt = attempt_at(world, stream=False)
            await attempt
            async with trio.open_nursery() as nursery:
                nursery.start_soon(assert_served, world, stream)
                await trio.sleep(SECONDS / 2)
                run.give_up()
            run.completed(trio.current_time())
            assert len(world.dials) == 1
            await world.leak_check()

    async def assert_served(world: World, stream: bool) -> None:
        assert (await world.chat(stream=stream)).status == 200

    in_virtual_time(scenario)

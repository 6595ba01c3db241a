"""A client may leave at any moment: every upstream attempt ends at once, and nothing stays behind (I7)."""

import random
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from router.simulator import Latency, Profile
from tests.conftest import SIZE
from tests.simulated.world import Client, World, chat_fields, in_virtual_time, open_world

CHAT = "/v1/chat/completions"
SLOW = Profile(ttft=Latency.fixed(2.0), gap=Latency.fixed(0.1))
PHASES = {
    "before the first byte": (1.0, True),
    "in the middle of a stream": (3.0, True),
    "in a whole answer": (1.0, False),
}


@pytest.mark.parametrize("name", PHASES)
def test_i7_a_client_that_leaves_ends_the_upstream_exchange_at_once(name: str) -> None:
    leaves_at, stream = PHASES[name]

    async def scenario() -> None:
        async with open_world(SLOW) as world:
            client = Client(msgspec.json.encode(chat_fields(stream=stream)))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(leaves_at)
                assert world.simulator.open_exchanges == 1
                client.leave()
                await trio.testing.wait_all_tasks_blocked()
                assert world.simulator.aborted == 1
                assert world.gateway.observer.in_flight == 0
            await world.leak_check()
            (line,) = world.log_lines()
            assert line["outcome"] == "client_gone"
            assert line["duration_seconds"] == pytest.approx(leaves_at)

    in_virtual_time(scenario)


def test_a_client_that_leaves_while_sending_its_body_is_answered_by_nobody() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            client = Client(msgspec.json.encode(chat_fields()), pieces=3)
            client.leave()
            answer = await world.run(client, CHAT)
            assert answer.status == 0
            assert world.log_lines()[0]["outcome"] == "client_gone"
            await world.leak_check()

    in_virtual_time(scenario)


def test_i7_no_leak_when_cancelled_at_any_checkpoint() -> None:
    """Cancel the whole request after its k-th scheduling, for every k until it gets through."""

    class CancelAfter(trio.abc.Instrument):
        def __init__(self, steps: int) -> None:
            self.left = steps
            self.task: trio.lowlevel.Task | None = None
            self.scope = trio.CancelScope()

        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            if task is self.task:
                self.left -= 1
                if self.left == 0:
                    self.scope.cancel()

    async def request(world: World, fields: dict[str, Any], after: CancelAfter) -> None:
        after.task = trio.lowlevel.current_task()
        with after.scope:
            await world.run(Client(msgspec.json.encode(fields)), CHAT)

    async def scenario() -> None:
        for stream in (False, True):
            steps = 0
            finished = False
            while not finished:
                steps += 1
                async with open_world() as world:
                    after = CancelAfter(steps)
                    trio.lowlevel.add_instrument(after)
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(request, world, chat_fields(stream=stream), after)
                    trio.lowlevel.remove_instrument(after)
                    finished = not after.scope.cancelled_caught
                    await world.leak_check()
            assert steps > 3

    in_virtual_time(scenario)


BEHAVIOURS: list[dict[str, Any]] = [
    {},
    {},
    {"cut_after": 4},
    {"stall_after": 4},
    {"silence": True},
    {"reset_before_head": True},
    {"status": 500},
    {"status": 429, "retry_after": 1},
    {"gzip": True},
    {"body_split": 7},
    {"omit_done": True},
    {"keep_open_after_done": 5.0},
]


def test_i7_the_leak_check_holds_after_a_thousand_random_cancellations() -> None:
    rng = random.Random(20261123)

    async def one(world: World) -> None:
        fields = chat_fields(
            stream=rng.random() < 0.7, max_tokens=20, simulate=rng.choice(BEHAVIOURS)
        )
        client = Client(msgspec.json.encode(fields), pieces=rng.choice([1, 1, 3]))
        await trio.sleep(rng.uniform(0, 20))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.run, client, CHAT)
            if rng.random() < 0.2:
                client.reading = trio.Event()  # takes nothing until it leaves
            await trio.sleep(rng.uniform(0, 5))
            client.leave()
            client.reading.set()

    async def scenario() -> None:
        async with open_world(SLOW) as world:
            async with trio.open_nursery() as nursery:
                for _ in range(1000 * SIZE):
                    nursery.start_soon(one, world)
            await world.leak_check()
            outcomes = {line["outcome"] for line in world.log_lines()}
            assert {"ok", "client_gone", "upstream_error", "cut"} <= outcomes
            assert "bug" not in outcomes
            assert len(world.log_lines()) == 1000 * SIZE

    in_virtual_time(scenario)

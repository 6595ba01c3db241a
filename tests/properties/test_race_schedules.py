"""Random schedules of faults, cancellations and slow readers on three providers: the invariants I5 to I8.

One example is one world with a burst of requests, each of which meets its own faults wherever it goes. The
seed alone is drawn, so that an example is a number that can be run again.
"""

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from router.config import Config, RaceConfig
from router.simulator import Behaviour, Latency, Profile
from tests.conftest import SIZE
from tests.simulated.race_world import CHAT, everything_received, race_config
from tests.simulated.world import Client, World, chat_fields, in_virtual_time, open_world

REQUESTS = 50
WORLDS = 20 * SIZE  # 1,000 requests in the ordinary run
FLOOR_PER_SECOND = 0.1
PROFILE = Profile(ttft=Latency.lognormal(0.3, 0.5), gap=Latency.lognormal(0.02, 0.5), tokens=12)
CONFIGS = [
    race_config("abc"),
    race_config("a", "b", "c"),
    race_config("ab", "c", race=RaceConfig(max_attempts=3, patience=1.0, slow_first_token=2.0)),
    race_config("ab", model={"larger_context": ["c/m"], "hedge": False}, others="c"),
]
FAULTS: list[dict[str, Any]] = [
    {"status": 500},
    {"status": 503, "retry_after": 1},
    {"status": 429, "retry_after": 1},
    {"status": 429, "retry_after": 0},
    {"status": 429},
    {"status": 401},
    {"status": 422},
    {"status": 400, "error": {"message": "no", "code": "content_policy_violation"}},
    {"reset_before_head": True},
    {"silence": True},
    {"cut_after": 0},
    {"cut_after": 5},
    {"stall_after": 0},
    {"stall_after": 5},
    {"error_event_after": 0},
    {"error_event_after": 5},
    {"malformed_at": 3},
    {"omit_done": True},
    {"ttft": 3.0},
    {"ttft": 12.0},
    {"delay_head": 4.0, "status": 502},
    {"body_split": 5},
    {"gzip": True},
    {"keep_open_after_done": 3.0},
]


class Visitor:
    """One client: asks, perhaps reads slowly, perhaps leaves. `name` is the trace that it belongs to."""

    def __init__(self, rng: Random, name: str = "") -> None:
        self.name = name
        self.stream = rng.random() < 0.7
        usage = {"include_usage": True} if name and self.stream else None
        fields = chat_fields(model="m", stream=self.stream, stream_options=usage)
        self.client = Client(msgspec.json.encode(fields))
        self.comes_after = rng.uniform(0, 15)
        self.leaves_after = rng.uniform(0, 8) if rng.random() < 0.3 else None
        self.reads_after = rng.uniform(0, 10) if rng.random() < 0.2 else 0.0
        self.left = False

    async def visit(self, world: World) -> None:
        await trio.sleep(self.comes_after)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read_later)
            if self.leaves_after is not None:
                nursery.start_soon(self._leave, self.leaves_after)
            headers = {"authorization": f"Bearer {world.secret}", "traceparent": self.name}
            await world.run(self.client, CHAT, headers=headers)
            nursery.cancel_scope.cancel()

    async def _read_later(self) -> None:
        if self.reads_after:
            self.client.reading = trio.Event()
            await trio.sleep(self.reads_after)
            self.client.reading.set()

    async def _leave(self, after: float) -> None:
        await trio.sleep(after)
        self.left = True
        self.client.leave()
        await trio.testing.wait_all_tasks_blocked()
        self.client.reading.set()


def check_answer(visitor: Visitor) -> None:
    """A whole answer looks whole, and no other does (I5)."""
    answer = visitor.client.answer
    if visitor.left:
        return
    assert answer.status != 0
    if answer.status != 200:
        assert answer.finished
        assert answer.status in {400, 422, 503}
        assert "error" in answer.json()
        return
    if not visitor.stream:
        assert answer.finished
        assert answer.json()["choices"][0]["finish_reason"] is not None
        return
    events = answer.events()
    finishes = [
        choice["finish_reason"]
        for event in events
        if event != b"[DONE]"
        for choice in msgspec.json.decode(event).get("choices", [])
        if choice["finish_reason"] is not None
    ]
    if answer.finished:
        assert events[-1] == b"[DONE]"
        assert len(finishes) == 1
    else:
        assert b"[DONE]" not in events
        assert "error" in msgspec.json.decode(events[-1])


def behaviours(rng: Random, trouble: float) -> Iterator[Behaviour]:
    while True:
        yield Behaviour(**(rng.choice(FAULTS) if rng.random() < trouble else {}))


async def burst(world: World, rng: Random) -> list[Visitor]:
    visitors = [Visitor(rng) for _ in range(REQUESTS)]
    async with trio.open_nursery() as nursery:
        for visitor in visitors:
            nursery.start_soon(visitor.visit, world)
    return visitors


async def one_world(seed: int) -> None:
    rng = Random(seed)
    config: Config = rng.choice(CONFIGS)
    trouble = rng.choice([0.1, 0.3, 0.7, 1.0])
    async with open_world(PROFILE, config=config, hosts="abc", rng=Random(seed)) as world:
        start = trio.current_time()
        for simulator in world.simulators.values():
            plenty = behaviours(rng, rng.choice([0.0, trouble, trouble]))
            simulator.plan(*(next(plenty) for _ in range(10 * REQUESTS)))
        visitors = await burst(world, rng)
        await world.leak_check()  # I7, and nothing kept for slow readers (I8)
        for visitor in visitors:
            check_answer(visitor)
        seconds = trio.current_time() - start
        lines = world.log_lines()
        assert len(lines) == REQUESTS
        assert all(line["outcome"] != "bug" for line in lines), lines
        attempts = sum(line.get("attempts", 0) for line in lines)
        allowed = config.race.budget_burst + FLOOR_PER_SECOND * seconds
        assert attempts <= (1 + config.race.budget_ratio) * REQUESTS + allowed
        # What meets a reset on a connection that served before may have met a stale one, and is sent again.
        resent = sum(simulator.broken for simulator in world.simulators.values())
        assert everything_received(world) <= attempts + resent
        assert max(line.get("attempts", 0) for line in lines) <= config.race.max_attempts
        assert seconds < 600  # bounded time, whatever the providers and the readers do


@settings(max_examples=WORLDS)
@given(st.integers(min_value=0, max_value=2**32))
def test_i5_i6_i7_i8_hold_over_random_schedules(seed: int) -> None:
    in_virtual_time(lambda: one_world(seed))


@pytest.mark.parametrize("seed", range(2))
def test_the_schedules_meet_every_outcome(seed: int) -> None:
    """Otherwise the properties above would hold for want of anything happening."""
    outcomes: set[str] = set()
    attempts: set[int] = set()

    async def scenario() -> None:
        rng = Random(seed)
        async with open_world(PROFILE, config=CONFIGS[0], hosts="abc", rng=Random(seed)) as world:
            plenty = behaviours(rng, 0.5)
            for simulator in world.simulators.values():
                simulator.plan(*(next(plenty) for _ in range(10 * REQUESTS)))
            for _ in range(5):
                await burst(world, rng)
            outcomes.update(line["outcome"] for line in world.log_lines())
            attempts.update(line.get("attempts", 0) for line in world.log_lines())

    in_virtual_time(scenario)
    assert {"ok", "client_gone", "upstream_error", "cut", "client_error"} <= outcomes
    assert {1, 2, 3} <= attempts

"""Killed at any moment under load: what a client saw completed is in the books once, and they are sound.

Gateways with several workers live for a moment each, on one store and one journal folder. In each life
workers are killed while clients ask, and in the end everything, supervisor and all. The next life begins with
what the last one left.
"""

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio

from router.simulator import Latency, Profile, Simulator
from tests.conftest import SIZE
from tests.e2e.process import GatewayProcess, wait_until
from tests.e2e.provider import serving
from tests.e2e.till import Till, kill_everything, worker_pids

KILLS = 20 * SIZE
WORKERS = 2
KILLS_A_LIFE = 4  # two workers, each of whom is started anew at once, and then everything: two more
CLIENTS = 12
CREDIT = 10**13
PROFILE = Profile(ttft=Latency.lognormal(0.02, 0.8), gap=Latency.lognormal(0.001, 0.5), tokens=20)


@pytest.fixture
def till(tmp_path: Path) -> Iterator[Till]:
    simulators = Simulator(PROFILE, seed=1), Simulator(PROFILE, seed=2)
    with (
        serving(simulators[0]) as first,
        serving(simulators[1]) as second,
        closing(Till(tmp_path, (first, second), workers=WORKERS, budget_ratio=1.0)) as opened,
    ):
        yield opened


def test_i1_kills_under_load_lose_and_double_no_settlement(till: Till) -> None:
    rng = Random()
    till.pay_in(CREDIT)
    kills = 0
    while kills < KILLS:
        process = till.start()
        trio.run(partial(one_life, till, process, rng))
        kills += KILLS_A_LIFE
        assert till.book.verify().sound
    with till.serving():
        wait_until("what the dead left is booked", lambda: is_all_booked(till))
    assert till.left_in_journals() == [], "damaged files, or some that nobody has booked"
    booked = till.check_books(CREDIT)
    endings = Counter(seen.ending for seen in till.seen.values())
    assert endings["whole"] > 10 * KILLS / KILLS_A_LIFE, endings
    assert endings["cut"] > 0, endings
    assert till.book.operator_balances().get("operator:losses", 0) == 0
    assert len(booked) >= endings["whole"]


def is_all_booked(till: Till) -> bool:
    booked = till.booked()
    return all(id_ in booked for id_, seen in till.seen.items() if seen.ending == "whole")


async def one_life(till: Till, process: GatewayProcess, rng: Random) -> None:
    """Ask without a pause while workers die, until nobody answers any more."""
    async with trio.open_nursery() as nursery:
        for _ in range(CLIENTS):
            nursery.start_soon(ask_for_ever, till, process, Random(rng.random()))
        for _ in range(2):
            await trio.sleep(rng.uniform(0.2, 0.5))
            os.kill(rng.choice(worker_pids(process)), signal.SIGKILL)
        await trio.sleep(rng.uniform(0.1, 1.5))
        await trio.to_thread.run_sync(kill_everything, process)
        await trio.sleep(0.05)  # for what had been sent before to be read
        nursery.cancel_scope.cancel()


async def ask_for_ever(till: Till, process: GatewayProcess, rng: Random) -> None:
    while True:
        await till.ask(
            process,
            leaves=rng.uniform(0.005, 0.1) if rng.random() < 0.1 else 20.0,
            stream=rng.random() < 0.7,
            max_tokens=rng.choice([None, 30]),
            simulate={"cut_after": 5} if rng.random() < 0.1 else {},
        )
        await trio.sleep(0.002)

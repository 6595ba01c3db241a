"""Alarms: each rings once, at its moment, in order; one that was called off does not, and leaves nothing."""

from collections.abc import Awaitable, Callable
from functools import partial
from random import Random

import pytest
import trio
import trio.testing

from router.exchange.alarms import Alarm, Alarms
from tests.simulated.world import in_virtual_time

MANY = 2000


def while_ringing(act: Callable[[Alarms], Awaitable[None]]) -> None:
    """Run `act` in virtual time beside the task that lets alarms ring."""

    async def scenario() -> None:
        alarms = Alarms()
        async with trio.open_nursery() as nursery:
            await nursery.start(alarms.run)
            await act(alarms)
            nursery.cancel_scope.cancel()

    in_virtual_time(scenario)


def test_each_rings_at_its_moment_whatever_the_order_in_which_they_were_set() -> None:
    async def act(alarms: Alarms) -> None:
        start = trio.current_time()
        rung: list[tuple[float, float]] = []
        for after in (3.0, 1.0, 7.0, 1.0, 0.25):
            alarms.set(start + after, partial(_enter, rung, after, start))
        await trio.sleep(2)
        alarms.set(start + 2.5, partial(_enter, rung, 2.5, start))
        assert alarms.pending == 3
        await trio.sleep(10)
        assert rung == [(after, after) for after in (0.25, 1.0, 1.0, 2.5, 3.0, 7.0)]
        assert alarms.pending == 0

    while_ringing(act)


def test_one_whose_moment_has_passed_rings_at_once() -> None:
    async def act(alarms: Alarms) -> None:
        start = trio.current_time()
        rung: list[float] = []
        alarms.set(start - 1, rung.append)
        await trio.testing.wait_all_tasks_blocked()
        assert rung == [start]

    while_ringing(act)


def test_one_that_was_called_off_does_not_ring() -> None:
    async def act(alarms: Alarms) -> None:
        start = trio.current_time()
        rung: list[float] = []
        kept, dropped = (alarms.set(start + 1, rung.append) for _ in range(2))
        alarms.call_off(dropped)
        alarms.call_off(dropped)
        assert alarms.pending == 1
        await trio.sleep(2)
        alarms.call_off(kept)  # it has rung
        assert rung == [start + 1]
        assert alarms.pending == 0

    while_ringing(act)


def test_one_that_rings_may_set_another_and_call_off_a_third() -> None:
    async def act(alarms: Alarms) -> None:
        start = trio.current_time()
        rung: list[float] = []
        third: list[Alarm] = []

        def first(now: float) -> None:
            alarms.set(now + 1, rung.append)
            alarms.call_off(third[0])

        alarms.set(start + 1, first)
        third.append(alarms.set(start + 1, rung.append))
        await trio.sleep(5)
        assert rung == [start + 2]

    while_ringing(act)


@pytest.mark.parametrize("seed", range(5))
def test_those_called_off_take_no_room_and_the_others_keep_their_order(seed: int) -> None:
    async def act(alarms: Alarms) -> None:
        rng = Random(seed)
        start = trio.current_time()
        rung: list[float] = []
        expected = []
        for _ in range(MANY):
            moment = start + rng.uniform(0.0, 10.0)
            alarm = alarms.set(moment, partial(_note, rung, moment))
            if rng.random() < 0.95:
                alarms.call_off(alarm)
            else:
                expected.append(moment)
        assert alarms.lines < MANY / 5
        await trio.sleep(11)
        assert rung == sorted(expected)
        assert alarms.lines == 0

    while_ringing(act)


def _enter(rung: list[tuple[float, float]], after: float, start: float, now: float) -> None:
    rung.append((after, now - start))


def _note(rung: list[float], moment: float, now: float) -> None:
    assert now == moment
    rung.append(moment)

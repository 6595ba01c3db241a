"""The pump by itself: whose step runs when, how a stream gets back to its task, that nothing is left."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf
from threading import Timer
from typing import Final, Self

import pytest
import trio
import trio.testing

from router.exchange.alarms import Alarms
from router.exchange.pump import MOST_AT_ONCE, SEVERAL, Carried, Pump
from router.watcher import trios_epoll


async def nothing() -> None:
    """What trio sleeps on, where the kernel does not tell."""


Found = Callable[[], Awaitable[int | None]]
_FOUND: Final[dict[str, Found]] = {"in trio's sleep": trios_epoll, "in its own task": nothing}


@pytest.fixture(params=sorted(_FOUND))
def found(request: pytest.FixtureRequest) -> Found:
    """Where the pump waits."""
    where: Found = _FOUND[request.param]
    return where


@asynccontextmanager
async def running(found: Found) -> AsyncIterator[Pump]:
    """A pump that carries nothing any more when the block ends."""
    alarms = Alarms()
    pump = Pump(alarms, gather_seconds=0, find_watcher=found)
    async with trio.open_nursery() as nursery:
        await nursery.start(alarms.run)
        await nursery.start(pump.run)
        yield pump
        assert (pump.carrying, alarms.pending) == (0, 0)
        nursery.cancel_scope.cancel()
    assert not pump.is_running


class Line(Carried):
    """A socket in the pump, the other end of it, and what its steps have read."""

    def __init__(self) -> None:
        super().__init__()
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.read: list[bytes] = []
        self.times: list[float] = []
        self.until = b"stop"
        self.meanwhile: Callable[[], None] = lambda: None
        self.is_back = False
        self.due_at = inf
        self.was_needed: bool | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ours.close()
        self.theirs.close()

    def step(self, now: float) -> bool:
        self.times.append(now)
        self.read.append(self.ours.recv(4))
        self.meanwhile()
        return self.read[-1] == self.until

    async def carry(self, pump: Pump) -> None:
        self.was_needed = await pump.carry(self.ours.fileno(), self, until=self.due_at)
        self.is_back = True


async def test_a_step_runs_when_there_is_something_until_it_wants_its_task(found: Found) -> None:
    async with running(found) as pump, trio.open_nursery() as nursery:
        with Line() as line:
            nursery.start_soon(line.carry, pump)
            await trio.testing.wait_all_tasks_blocked()
            assert (line.read, pump.carrying) == ([], 1)
            for data in (b"one ", b"two "):
                line.theirs.send(data)
                await trio.testing.wait_all_tasks_blocked()
            assert (line.read, line.is_back) == ([b"one ", b"two "], False)
            line.theirs.send(b"stop")
            await trio.testing.wait_all_tasks_blocked()
            assert (line.is_back, pump.carrying) == (True, 0)
            line.theirs.send(b"more")
            await trio.testing.wait_all_tasks_blocked()
            assert line.read == [b"one ", b"two ", b"stop"]


async def test_what_a_step_leaves_unread_is_told_of_again(found: Found) -> None:
    async with running(found) as pump:
        with Line() as line:
            line.theirs.send(b"one two stop")
            await line.carry(pump)
            assert line.read == [b"one ", b"two ", b"stop"]


async def test_the_end_of_the_other_side_wakes_a_step(found: Found) -> None:
    async with running(found) as pump:
        with Line() as line:
            line.until = b""
            line.theirs.close()
            await line.carry(pump)


async def test_what_a_step_raises_is_raised_where_its_stream_is_waited_for_and_nowhere_else(
    found: Found,
) -> None:
    def fail() -> None:
        raise LookupError("a mistake of ours")

    async with running(found) as pump, trio.open_nursery() as nursery:
        with Line() as bad, Line() as good:
            bad.meanwhile = fail
            bad.theirs.send(b"fail")
            nursery.start_soon(good.carry, pump)
            with pytest.raises(LookupError, match="a mistake of ours"):
                await bad.carry(pump)
            good.theirs.send(b"stop")
            await trio.testing.wait_all_tasks_blocked()
            assert good.is_back


async def test_a_cancelled_stream_is_out_of_the_pump_before_its_task_goes_on(found: Found) -> None:
    async with running(found) as pump:
        with Line() as line:
            with trio.CancelScope() as scope:
                scope.cancel()
                try:
                    await line.carry(pump)
                finally:
                    assert pump.carrying == 0
            line.theirs.send(b"late")
            await trio.testing.wait_all_tasks_blocked()
            assert line.read == []


@pytest.mark.parametrize("wants_its_task", [False, True])
async def test_a_step_may_have_itself_cancelled(found: Found, wants_its_task: bool) -> None:
    async with running(found) as pump:
        with Line() as line, trio.CancelScope() as scope:
            line.meanwhile = scope.cancel
            line.theirs.send(b"stop" if wants_its_task else b"none")
            await line.carry(pump)
        assert scope.cancelled_caught
        assert len(line.read) == 1


async def test_a_step_may_have_another_cancelled_that_is_ready_as_well(found: Found) -> None:
    async with running(found) as pump, trio.open_nursery() as nursery:
        with Line() as one, Line() as other:
            for line in (one, other):
                line.meanwhile = nursery.cancel_scope.cancel
                line.theirs.send(b"none")
                nursery.start_soon(line.carry, pump)
            await trio.testing.wait_all_tasks_blocked()
    assert len(one.read) + len(other.read) == 1


async def test_a_number_of_a_closed_socket_serves_the_next(found: Found) -> None:
    async with running(found) as pump:
        with Line() as line:
            number = line.ours.fileno()
            with trio.move_on_after(0):
                await line.carry(pump)
        with Line() as other:
            assert other.ours.fileno() == number  # the lowest that is free, as POSIX has it
            other.theirs.send(b"stop")
            await other.carry(pump)
            assert other.is_back


async def test_when_the_pump_ends_every_stream_goes_back_to_its_task(found: Found) -> None:
    pump = Pump(Alarms(), find_watcher=found)
    async with trio.open_nursery() as nursery:
        with Line() as one, Line() as other, trio.CancelScope() as scope:
            async with trio.open_nursery() as inner:
                await inner.start(pump.run)
                nursery.start_soon(one.carry, pump)
                nursery.start_soon(other.carry, pump)
                await trio.testing.wait_all_tasks_blocked()
                assert pump.carrying == 2
                scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
    assert (one.is_back, other.is_back, pump.carrying) == (True, True, 0)
    assert not pump.is_running


async def test_streams_that_are_always_ready_leave_others_their_turn(found: Found) -> None:
    """All of these always have something; yet the one that comes last is served, and so are other tasks."""
    async with running(found) as pump, trio.open_nursery() as nursery:
        lines = [Line() for _ in range(2 * MOST_AT_ONCE)]
        for line in lines:
            line.theirs.send(b"busy" * 200)
            nursery.start_soon(line.carry, pump)
        turns = 0
        while not all(len(line.read) >= 50 for line in lines):
            await trio.lowlevel.checkpoint()
            turns += 1
        assert turns > 50
        assert max(len(line.read) for line in lines) < 60
        nursery.cancel_scope.cancel()
    for line in lines:
        with line:
            pass


async def test_the_streams_of_one_turn_are_told_one_time(
    found: Found, autojump_clock: object
) -> None:
    async with running(found) as pump, trio.open_nursery() as nursery:
        with Line() as one, Line() as other:
            for line in (one, other):
                nursery.start_soon(line.carry, pump)
            await trio.sleep(3)
            for line in (one, other):
                line.theirs.send(b"stop")
            await trio.sleep(1)
            assert one.times == other.times


async def test_where_much_is_going_on_events_are_gathered_and_where_little_is_none_waits(
    found: Found, autojump_clock: trio.testing.MockClock
) -> None:
    pump = Pump(Alarms(), gather_seconds=0.5, find_watcher=found)
    with Line() as line:
        async with trio.open_nursery() as nursery:
            await nursery.start(pump.run)
            nursery.start_soon(line.carry, pump)
            for _ in range(3):
                await trio.sleep(1)
                line.theirs.send(b"slow")
            assert [round(at, 3) for at in line.times] == [1, 2]
            await trio.testing.wait_all_tasks_blocked()
            line.theirs.send(b"fast" * (2 * SEVERAL - 3))  # the second half of all shows it
            await trio.testing.wait_all_tasks_blocked()
            line.theirs.send(b"more")
            line.theirs.send(b"stop")
            await trio.sleep(2)
            assert [round(at, 3) for at in line.times[:-2]] == [1, 2, *[3] * (2 * SEVERAL - 2)]
            assert [round(at, 3) for at in line.times[-2:]] == [3.5, 3.5]
            nursery.cancel_scope.cancel()


class Wakes(trio.abc.Instrument):
    """Counts how often any task runs."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, _task: trio.lowlevel.Task) -> None:
        self.count += 1


@pytest.mark.parametrize("last", [b"", b"more"])
async def test_nobody_wakes_to_gather_where_much_was_going_on_and_nothing_is_any_more(
    last: bytes, found: Found, autojump_clock: trio.testing.MockClock
) -> None:
    pump = Pump(Alarms(), gather_seconds=0.5, find_watcher=found)
    with Line() as line:
        async with trio.open_nursery() as nursery:
            await nursery.start(pump.run)
            nursery.start_soon(line.carry, pump)
            line.theirs.send(b"fast" * 2 * SEVERAL)
            await trio.testing.wait_all_tasks_blocked()
            line.theirs.send(last)
            await trio.sleep(2)
            wakes = Wakes()
            trio.lowlevel.add_instrument(wakes)
            await trio.sleep(100)
            trio.lowlevel.remove_instrument(wakes)
            assert len(line.read) == 2 * SEVERAL + len(last) // 4
            assert wakes.count <= 1  # this one
            nursery.cancel_scope.cancel()


async def test_a_stream_whose_time_is_over_goes_back_to_its_task_not_needed(
    found: Found, autojump_clock: object
) -> None:
    async with running(found) as pump:
        with Line() as line:
            line.due_at = trio.current_time() + 3
            line.theirs.send(b"some")
            await line.carry(pump)
            assert (line.was_needed, line.read) == (False, [b"some"])
            assert trio.current_time() == line.due_at
            line.due_at += 3
            line.theirs.send(b"stop")
            await line.carry(pump)
            assert (line.was_needed, line.read) == (True, [b"some", b"stop"])


async def test_a_stream_whose_time_is_over_already_is_not_carried(found: Found) -> None:
    async with running(found) as pump:
        with Line() as line:
            line.due_at = trio.current_time()
            line.theirs.send(b"stop")
            await line.carry(pump)
            assert (line.was_needed, line.read) == (False, [])


async def test_what_else_wakes_trio_does_so_while_a_stream_is_carried(found: Found) -> None:
    """Each of these would be waited for in vain if trio's sleep, or its end, were missed."""
    async with running(found) as pump, trio.open_nursery() as nursery:
        with Line() as line, Line() as other:
            nursery.start_soon(line.carry, pump)
            await trio.testing.wait_all_tasks_blocked()
            await trio.to_thread.run_sync(line.theirs.send, b"some")  # a thread that ends
            timer = Timer(0.01, other.theirs.send, [b"more"])
            timer.start()
            await trio.lowlevel.wait_readable(other.ours)  # a socket
            timer.join()
            await trio.sleep(0.001)  # a deadline
            assert line.read == [b"some"]
            nursery.cancel_scope.cancel()


async def test_a_task_that_a_step_wakes_runs_though_nothing_else_happens(found: Found) -> None:
    """It would sleep on if trio's loop were not told of it. The thread is none of trio's."""
    async with running(found) as pump:
        with Line() as line:
            thread = Timer(0.01, line.theirs.send, [b"stop"])
            thread.start()
            await line.carry(pump)
            thread.join()
            assert line.read == [b"stop"]

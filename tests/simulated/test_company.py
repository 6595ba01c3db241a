"""Company: who joins a race runs beside it, and is gone when the race goes on, whatever happens to either."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

from router.exchange.company import Company
from tests.simulated.world import in_virtual_time


class Members:
    """Attempts that sleep, and note how they ended and when."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, float]] = []
        self._begun = trio.current_time()

    def sleeping(self, seconds: float, *, unwinding: float = 0.0) -> Callable[[], Awaitable[None]]:
        return partial(self._sleep, seconds, unwinding)

    async def _sleep(self, seconds: float, unwinding: float) -> None:
        try:
            await trio.sleep(seconds)
            self._end("whole")
        except trio.Cancelled:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + unwinding):
                await trio.sleep_forever()
            self._end("cancelled")
            raise

    def _end(self, how: str) -> None:
        self.ended.append((how, trio.current_time() - self._begun))


def test_all_who_join_run_side_by_side_from_when_they_join() -> None:
    async def scenario() -> None:
        members = Members()
        async with trio.open_nursery() as process:
            company = Company(process.start_soon)
            company.join(members.sleeping(3))
            company.join(members.sleeping(2))
            await trio.sleep(1)
            company.join(members.sleeping(4))
            await trio.sleep(9)
            assert members.ended == [("whole", 2), ("whole", 3), ("whole", 5)]
            assert not company.decided.is_set()
            await company.end()

    in_virtual_time(scenario)


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["before it runs", "while it runs"])
def test_its_end_cancels_all_and_waits_until_they_have_ended(seconds: float) -> None:
    async def scenario() -> None:
        members = Members()
        async with trio.open_nursery() as process:
            company = Company(process.start_soon)
            company.join(members.sleeping(10, unwinding=0.5))
            company.join(members.sleeping(20, unwinding=0.25))
            if seconds:
                await trio.sleep(seconds)
            await company.end()
            after = trio.current_time()
            assert members.ended == [("cancelled", seconds + 0.25), ("cancelled", seconds + 0.5)]
        assert trio.current_time() == after  # nothing of it was left in the process

    in_virtual_time(scenario)


def test_a_race_that_is_cancelled_itself_waits_for_their_end_all_the_same() -> None:
    async def scenario() -> None:
        members = Members()
        async with trio.open_nursery() as process:
            with trio.CancelScope() as request:
                company = Company(process.start_soon)
                try:
                    company.join(members.sleeping(10, unwinding=0.5))
                    await trio.sleep(1)
                    request.cancel()
                    await trio.sleep_forever()
                finally:
                    await company.end()
                    assert members.ended == [("cancelled", 1.5)]

    in_virtual_time(scenario)


def test_one_that_does_not_end_holds_the_race_up_for_some_seconds_only() -> None:
    async def scenario() -> None:
        members = Members()
        async with trio.open_nursery() as process:
            company = Company(process.start_soon)
            company.join(members.sleeping(10, unwinding=60))
            await trio.sleep(1)
            start = trio.current_time()
            await company.end()
            assert trio.current_time() - start == 5
            assert members.ended == []

    in_virtual_time(scenario)


def test_a_process_that_ends_decides_it_so_that_nobody_waits_for_ever() -> None:
    async def scenario() -> None:
        members = Members()
        async with trio.open_nursery() as race:
            async with trio.open_nursery() as process:
                company = Company(process.start_soon)
                company.join(members.sleeping(10))
                race.start_soon(company.decided.wait)
                await trio.sleep(1)
                process.cancel_scope.cancel()
            assert company.decided.is_set()
            assert members.ended == [("cancelled", 1)]
            await company.end()

    in_virtual_time(scenario)

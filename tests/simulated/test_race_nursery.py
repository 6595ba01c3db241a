"""The nursery of a race at its edges: a win in the moment of a cancellation, a late success, a bug."""

from collections.abc import Awaitable, Callable
from random import Random

import pytest
import trio

from router.exchange.hedge import Contender, Race, Won
from router.exchange.live import HedgeSettings, LiveEndpoints, Run
from router.routing.director import Director, RaceLimits
from tests.simulated.world import in_virtual_time
from tests.unit.test_exchange_endpoint import candidate


class Track:
    """Two candidates in two tiers; the second is asked when the first is slow for a second."""

    def __init__(self, attempt: Callable[[str], Awaitable[str]]) -> None:
        self.live = LiveEndpoints("syzeai/1", HedgeSettings())
        self.discarded: list[str] = []
        self.begun: list[tuple[Run, bool]] = []
        self._attempt = attempt

    def race(self) -> Race[str]:
        names = ("first", "second")
        line = [Contender(self.live.of(candidate(upstream_model=name)), "stream") for name in names]
        director = Director(
            [[one] for one in line],
            limits=RaceLimits(slow=1.0),
            may_spend=lambda _now: True,
            may_hedge=lambda: True,
            rng=Random(1),
            now=trio.current_time(),
        )
        return Race(
            director,
            attempt=self._asked,
            discard=self.discarded.append,
            begun=lambda run, *, hedge: self.begun.append((run, hedge)),
            rng=Random(1),
        )

    async def _asked(self, run: Run) -> str:
        return await self._attempt(run.live.endpoint.target.upstream_model)


def test_i7_a_win_in_the_very_moment_of_a_cancellation_is_let_go_of() -> None:
    async def scenario() -> None:
        scope = trio.CancelScope()

        async def attempt(name: str) -> str:
            await trio.sleep(0.5)
            scope.cancel()
            return name

        track = Track(attempt)
        with scope:
            await track.race().run()
        assert scope.cancelled_caught
        assert track.discarded == ["first"]
        assert track.live.in_flight == 0

    in_virtual_time(scenario)


def test_of_two_that_succeed_at_once_one_wins_and_the_other_is_let_go_of() -> None:
    async def scenario() -> None:
        async def attempt(name: str) -> str:
            # Shielded, or the loser of the tie might be cancelled before it can succeed.
            with trio.CancelScope(shield=True, deadline=until + 1):
                await trio.sleep_until(until)
            return name

        until = trio.current_time() + 1.5
        track = Track(attempt)
        outcome = await track.race().run()
        assert isinstance(outcome, Won)
        assert {outcome.value, *track.discarded} == {"first", "second"}
        assert track.live.in_flight == 1  # the winner's, until it has been relayed
        outcome.run.completed(trio.current_time())
        assert track.live.in_flight == 0

    in_virtual_time(scenario)


def test_a_bug_in_an_attempt_ends_the_race_as_itself_and_stops_the_others() -> None:
    async def scenario() -> None:
        stopped: list[str] = []

        async def attempt(name: str) -> str:
            try:
                await trio.sleep(5)
            finally:
                stopped.append(name)
            raise ZeroDivisionError(name)

        track = Track(attempt)
        with pytest.raises(ZeroDivisionError):
            await track.race().run()
        assert stopped == ["first", "second"]
        assert track.live.in_flight == 0

    in_virtual_time(scenario)

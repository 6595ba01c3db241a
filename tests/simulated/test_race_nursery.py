"""The nursery of a race at its edges: a win in the moment of a cancellation, a late success, a bug."""

from collections.abc import Awaitable, Callable
from random import Random

import pytest
import trio

from adapters.dialect import Failure, FailureKind
from router.errors import UpstreamRefusal, UpstreamUnreachable
from router.exchange.alarms import Alarms
from router.exchange.company import GivenUp
from router.exchange.hedge import Begun, Race, Won
from router.exchange.live import Contender, Fate, HedgeSettings, LiveEndpoints, Run
from router.routing.director import Director, Lost
from router.routing.opening import RaceLimits
from tests.simulated.world import in_virtual_time
from tests.unit.test_exchange_endpoint import candidate


class LostRace(Exception):
    """Raised where nobody is left to ask."""

    def __init__(self, outcome: Lost) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Alone(Race[str]):
    """A race after which there is no other."""

    line: list[Contender]

    def _line_up(self, now: float) -> None:
        self._tiers = [[one] for one in self.line]

    def _directed(self, now: float) -> Director[Contender]:
        return Director(
            self._tiers,
            limits=self._limits,
            may_spend=lambda _now: True,
            may_hedge=lambda: True,
            rng=Random(1),
            now=now,
        )

    def _follow(self, director: Director[Contender], lost: Lost, now: float) -> None:
        raise LostRace(lost)


class Track:
    """Two candidates in two tiers; the second is asked when the first is slow for a second."""

    def __init__(self, attempt: Callable[[str], Awaitable[str]]) -> None:
        self.live = LiveEndpoints("syzeai/1", HedgeSettings())
        self.discarded: list[str] = []
        self.alarms = Alarms()
        self.begun: list[tuple[Run, bool]] = []
        self.on_begun: Begun = lambda run, *, hedge: None
        self._attempt = attempt

    async def run(self) -> Won[str] | Lost:
        """Race to the end, beside the task that lets alarms ring, whose nursery wraps no error."""
        bug: Exception | None = None
        outcome: Won[str] | Lost = Lost()
        async with trio.open_nursery() as beside:
            await beside.start(self.alarms.run)
            try:
                outcome = await self.race().run(trio.current_time())
            except LostRace as lost:
                outcome = lost.outcome
            except Exception as error:  # noqa: BLE001 - raised again below
                bug = error
            assert self.alarms.pending == 0
            beside.cancel_scope.cancel()
        if bug is not None:
            raise bug
        return outcome

    def race(self) -> Race[str]:
        names = ("first", "second")
        line = [self.live.of(candidate(upstream_model=name)).contender("stream") for name in names]
        race = Alone(
            limits=RaceLimits(slow=1.0),
            attempt=self._asked,
            discard=self.discarded.append,
            begun=self._enter,
            alarms=self.alarms,
            rng=Random(1),
        )
        race.line = line
        return race

    def _enter(self, run: Run, *, hedge: bool) -> None:
        self.begun.append((run, hedge))
        self.on_begun(run, hedge=hedge)

    async def _asked(self, run: Run) -> str:
        scope = trio.CancelScope()
        run.interrupt = scope.cancel
        with scope:
            return await self._attempt(run.live.endpoint.target.upstream_model)
        raise GivenUp


def test_i7_a_win_in_the_very_moment_of_a_cancellation_is_let_go_of() -> None:
    async def scenario() -> None:
        scope = trio.CancelScope()

        async def attempt(name: str) -> str:
            await trio.sleep(0.5)
            scope.cancel()
            return name

        track = Track(attempt)
        with scope:
            await track.run()
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
        outcome = await track.run()
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
            await track.run()
        assert stopped == ["first", "second"]
        assert track.live.in_flight == 0

    in_virtual_time(scenario)


def test_an_attempt_that_nobody_joins_runs_in_the_very_task_of_its_request() -> None:
    async def scenario() -> None:
        ran_in: list[trio.lowlevel.Task] = []

        async def attempt(name: str) -> str:
            ran_in.append(trio.lowlevel.current_task())
            await trio.sleep(0.5)
            return name

        track = Track(attempt)
        outcome = await track.run()
        assert isinstance(outcome, Won)
        assert (outcome.value, outcome.hedge) == ("first", False)
        assert ran_in == [trio.lowlevel.current_task()]

    in_virtual_time(scenario)


def test_the_first_gives_way_to_who_joined_it_and_was_faster() -> None:
    async def scenario() -> None:
        stopped: list[float] = []

        async def attempt(name: str) -> str:
            try:
                await trio.sleep(9 if name == "first" else 0.5)
            except trio.Cancelled:
                stopped.append(trio.current_time() - start)
                raise
            return name

        start = trio.current_time()
        track = Track(attempt)
        outcome = await track.run()
        assert isinstance(outcome, Won)
        assert (outcome.value, outcome.hedge) == ("second", True)
        assert stopped == [trio.current_time() - start] == [1.5]
        assert [run.fate for run, _ in track.begun] == [Fate.ABANDONED, None]

    in_virtual_time(scenario)


def test_a_first_that_fails_leaves_the_race_to_who_joined_it() -> None:
    async def scenario() -> None:
        async def attempt(name: str) -> str:
            await trio.sleep(1.2 if name == "first" else 3.0)
            if name == "first":
                raise UpstreamUnreachable("gone")
            return name

        start = trio.current_time()
        outcome = await Track(attempt).run()
        assert isinstance(outcome, Won)
        assert outcome.value == "second"
        assert trio.current_time() - start == 4.0

    in_virtual_time(scenario)


@pytest.mark.parametrize("refuser", ["first", "second"])
def test_a_refusal_that_ends_the_race_is_what_is_told_though_another_runs(refuser: str) -> None:
    async def scenario() -> None:
        async def attempt(name: str) -> str:
            if name != refuser:
                await trio.sleep(9)
            await trio.sleep(1.5 if name == "first" else 0.5)
            raise refusal

        refusal = UpstreamRefusal(Failure(kind=FailureKind.REFUSED, status=422, message="no"))
        start = trio.current_time()
        track = Track(attempt)
        outcome = await track.run()
        assert outcome == Lost(refusal)
        assert trio.current_time() - start == 1.5
        fates = {run.live.endpoint.target.upstream_model: run.fate for run, _ in track.begun}
        assert len(fates) == 2
        assert fates.pop(refuser) is Fate.REFUSED
        assert list(fates.values()) == [Fate.ABANDONED]
        assert track.live.in_flight == 0

    in_virtual_time(scenario)


def test_a_bug_in_what_decides_ends_its_own_race_alone() -> None:
    async def scenario() -> None:
        async def attempt(name: str) -> str:
            await trio.sleep(5)
            return name

        def confused(run: Run, *, hedge: bool) -> None:
            if hedge:
                raise ZeroDivisionError("confused")

        track = Track(attempt)
        track.on_begun = confused
        start = trio.current_time()
        with pytest.raises(ZeroDivisionError):
            await track.run()
        assert trio.current_time() - start == 1.0

    in_virtual_time(scenario)


async def beside(
    alarms: Alarms, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]
) -> None:
    with scope:
        await alarms.run(task_status=task_status)


def test_a_client_that_leaves_is_gone_only_when_nobody_runs_who_had_joined() -> None:
    async def scenario() -> None:
        stopped: list[tuple[str, float]] = []

        async def attempt(name: str) -> str:
            try:
                await trio.sleep(5)
            finally:
                stopped.append((name, trio.current_time() - start))
            return name

        track = Track(attempt)
        async with trio.open_nursery() as process:
            await process.start(track.alarms.run)
            start = trio.current_time()
            with trio.move_on_after(2) as request:
                await track.race().run(start)
            assert request.cancelled_caught
            assert stopped == [("first", 2.0), ("second", 2.0)]
            assert track.live.in_flight == 0
            assert track.alarms.pending == 0
            process.cancel_scope.cancel()

    in_virtual_time(scenario)


def test_a_race_whose_company_ends_with_the_process_is_told_so() -> None:
    async def scenario() -> None:
        async def attempt(name: str) -> str:
            await trio.sleep(1.5 if name == "first" else 10)
            raise UpstreamUnreachable(name)

        track, stopping = Track(attempt), trio.CancelScope()
        async with trio.open_nursery() as ours:
            await ours.start(beside, track.alarms, stopping)
            start = trio.current_time()
            stopping.deadline = start + 2
            with pytest.raises(UpstreamUnreachable, match="shutting down"):
                await track.race().run(start)
            assert trio.current_time() - start == 2
            assert track.live.in_flight == 0

    in_virtual_time(scenario)

"""The simulation's queue of events against the gateway's own nursery: the same race, attempt for attempt.

Both play one scenario with the same chance, the nursery in trio's virtual time over attempts that sleep as
long as the modelled ones take. What they must agree on is everything: each request's time, who was asked, and
whether a hedge won.
"""

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import pytest
import trio
import trio.testing

from router.config.schema import RaceConfig
from router.errors import GatewayError
from router.exchange.alarms import Alarms
from router.exchange.books import Books, Whose
from router.exchange.company import GivenUp
from router.exchange.drains import Drains
from router.exchange.live import Run
from router.exchange.racing import Racing, Request
from router.gateway import _race_limits
from router.simulation.figures import Figures
from router.simulation.scenario import Scenario
from router.simulation.world import World
from tests.unit.simulated_play import Table, endpoint, scenario

BUSY = {"rate": 50, "requests": 1500}
NOBODY = Whose(request_id="req_1", account_id="acc_1", key_id="key_1")
STEADY = endpoint(sigma=0.5, count=3, straggler_share=0.03, answer=1)


class Nursery:
    """One scenario, raced by `router.exchange.racing`."""

    def __init__(self, played: Scenario) -> None:
        self.world = World(played)
        self.traffic = played.traffic
        self.total = played.timeouts.total
        self.alarms = Alarms()
        self.racing = Racing(
            live=self.world._live,
            budget=self.world._budget,
            limits=self.world._limits,
            drains=Drains(seconds=0.0, late=lambda _whose, _bill: None, on_bug=lambda _: None),
            alarms=self.alarms,
            rng=self.world._chance,
        )
        self.first_token: list[float] = []
        self.failed_at: list[float] = []
        self.hedges_won = 0
        self.asked: Counter[str] = Counter()

    async def play(self) -> None:
        async with trio.open_nursery() as beside:
            await beside.start(self.alarms.run)
            async with trio.open_nursery() as nursery:
                for _ in range(self.traffic.requests or 0):
                    await trio.sleep(self.world._arrivals.expovariate(self.traffic.rate))
                    nursery.start_soon(self.request)
            beside.cancel_scope.cancel()

    async def request(self) -> None:
        arrived = trio.current_time()
        world = self.world
        request = Request(
            call=world._call,
            route=world._route,
            wish=world._wish,
            hedge=self.racing.hedges,
            books=Books(NOBODY, 0, lambda _: 0),
        )
        contest = self.racing.race(request, self.attempt, lambda _: None)
        try:
            with trio.fail_after(self.total):
                won = await contest.run(arrived)
        except (GatewayError, trio.TooSlowError):
            self.failed_at.append(arrived)
            return
        self.first_token.append(trio.current_time() - arrived)
        self.hedges_won += won.hedge
        await trio.sleep(won.value)
        won.run.completed(trio.current_time())

    async def attempt(self, run: Run) -> float:
        """Sleep as long as a modelled attempt takes; return how long the rest of its answer will."""
        upstream = self.world._upstreams[run.live]
        self.asked[upstream.model.name] += 1
        fate = upstream.fate(trio.current_time(), self.world._luck)
        scope = trio.CancelScope()
        run.interrupt = scope.cancel
        with scope:
            await trio.sleep(fate.seconds)
        if run.is_given_up:
            raise GivenUp
        if fate.error is not None:
            raise fate.error
        return upstream.model.answer


class Case(NamedTuple):
    """A scenario, and what must have come up in it, lest nothing was compared."""

    scenario: Scenario
    comes_up: Callable[[Figures], bool]


SCENARIOS = {
    "stragglers": Case(scenario(STEADY, traffic=BUSY), lambda seen: seen.hedges_won > 20),
    "an outage": Case(
        scenario(
            STEADY,
            endpoint("spare", tier=1, median=0.5, sigma=0.2, error_share=0.1),
            traffic={**BUSY, "seed": 1},
            outage=[{"endpoint": "a", "from": 10, "to": 18}],
        ),
        lambda seen: seen.attempts_by_endpoint["spare"] > 100,
    ),
    "silence": Case(
        scenario(
            STEADY,
            endpoint("b", sigma=0.2, error_share=0.3),
            traffic=BUSY,
            timeouts={"first_byte": 4},
            outage=[{"endpoint": "b", "from": 5, "to": 15, "kind": "silence"}],
        ),
        lambda seen: max(seen.first_token) > 4,
    ),
    "limits": Case(
        scenario(
            endpoint(sigma=0.3, limit=200, count=2),
            endpoint("spare", tier=1, limit=300),
            traffic=BUSY,
        ),
        lambda seen: len(seen.failed_at) > 100,
    ),
    "slow tiers": Case(
        scenario(
            endpoint(sigma=0.5, median=2),
            endpoint("spare", tier=1, sigma=0.5),
            traffic=BUSY,
            race={"slow_first_token": 3, "hedge": False},
        ),
        lambda seen: seen.attempts_by_endpoint["spare"] > 20,
    ),
    "a deadline": Case(
        scenario(endpoint(sigma=0.8, median=1, count=2), traffic=BUSY, timeouts={"total": 3}),
        lambda seen: len(seen.failed_at) > 20 and seen.hedges_won > 0,
    ),
    "slower halfway": Case(
        scenario(
            STEADY,
            traffic=BUSY,
            shift=[{"at": 15, "factor": 3}],
            outage=[{"endpoint": "a", "from": 20, "to": 25, "kind": "slow", "factor": 4}],
        ),
        lambda seen: seen.hedges_won > 10 and max(seen.first_token) > 9,
    ),
    "the cheapest first": Case(
        scenario(
            endpoint(sigma=0.5, price=0.02, weight=3, straggler_share=0.05),
            endpoint("b", sigma=0.5, price=0.01, error_share=0.02, straggler_share=0.05),
            traffic={**BUSY, "sort": "price"},
            race={"budget_ratio": 0.2, "hedge_quantile": 0.8, "hedge_minimum": 0.4},
        ),
        lambda seen: seen.attempts_by_endpoint["b"] > 3 * seen.attempts_by_endpoint["a"] > 0,
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_both_play_the_same_race(name: str, autojump_clock: trio.testing.MockClock) -> None:
    case = SCENARIOS[name]
    figures = World(case.scenario).play()
    nursery = Nursery(case.scenario)
    await nursery.play()
    assert nursery.world._live.in_flight == 0
    assert nursery.asked == figures.attempts_by_endpoint
    assert nursery.first_token == pytest.approx(list(figures.first_token))
    assert nursery.failed_at == pytest.approx(list(figures.failed_at))
    assert nursery.hedges_won == figures.hedges_won
    assert len(figures.first_token) + len(figures.failed_at) == figures.requests
    assert case.comes_up(figures)


def test_the_world_reads_the_race_settings_as_the_gateway_does() -> None:
    """Above, both sides take them from the world."""
    settings: Table = {"patience": 1.5, "slow_first_token": 7.0, "max_attempts": 4, "hedge": False}
    world = World(scenario(race=settings))
    assert world._limits == _race_limits(RaceConfig(**settings))
    assert world._limits != _race_limits(RaceConfig())

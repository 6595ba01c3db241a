"""The simulation's queue of events against the gateway's own nursery: the same race, attempt for attempt.

Both play one scenario with the same chance, the nursery in trio's virtual time over attempts that sleep as
long as the modelled ones take. What they must agree on is everything: each request's time, and who was asked.
"""

from collections import Counter

import pytest
import trio
import trio.testing

from router.errors import GatewayError
from router.exchange.books import Books
from router.exchange.hedge import Contender
from router.exchange.racing import Racing, Request
from router.simulation.scenario import Scenario
from router.simulation.world import World
from tests.unit.simulated_play import endpoint, scenario

BUSY = {"rate": 50, "requests": 1500}
STEADY = endpoint(sigma=0.5, count=3, straggler_share=0.03, answer=1)


class Nursery:
    """One scenario, raced by `router.exchange.racing`."""

    def __init__(self, played: Scenario) -> None:
        self.world = World(played)
        self.traffic = played.traffic
        self.racing = Racing(
            live=self.world._live,
            budget=self.world._budget,
            limits=self.world._limits,
            rng=self.world._chance,
        )
        self.first_token: list[float] = []
        self.failed_at: list[float] = []
        self.asked: Counter[str] = Counter()

    async def play(self) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(self.traffic.requests or 0):
                await trio.sleep(self.world._arrivals.expovariate(self.traffic.rate))
                nursery.start_soon(self.request)

    async def request(self) -> None:
        arrived = trio.current_time()
        world = self.world
        request = Request(
            call=world._call,
            route=world._route,
            wish=world._wish,
            hedge=self.racing.hedges,
            books=Books(prompt_tokens=0, tokens_of=lambda _: 0),
        )
        contest = self.racing.race(request, self.attempt, lambda _: None)
        try:
            won = await contest.run()
        except GatewayError:
            self.failed_at.append(arrived)
            return
        self.first_token.append(trio.current_time() - arrived)
        await trio.sleep(won.value)
        won.run.completed(trio.current_time())

    async def attempt(self, contender: Contender) -> float:
        """Sleep as long as a modelled attempt takes; return how long the rest of its answer will."""
        upstream = self.world._upstreams[contender.live]
        self.asked[upstream.model.name] += 1
        fate = upstream.fate(trio.current_time(), self.world._luck)
        await trio.sleep(fate.seconds)
        if fate.error is not None:
            raise fate.error
        return upstream.model.answer


SCENARIOS = {
    "stragglers": scenario(STEADY, traffic=BUSY),
    "an outage": scenario(
        STEADY,
        endpoint("spare", tier=1, median=0.5, sigma=0.2, error_share=0.1),
        traffic=BUSY,
        outage=[{"endpoint": "a", "from": 10, "to": 18}],
    ),
    "silence": scenario(
        STEADY,
        endpoint("b", sigma=0.2, error_share=0.3),
        traffic=BUSY,
        timeouts={"first_byte": 4},
        outage=[{"endpoint": "b", "from": 5, "to": 15, "kind": "silence"}],
    ),
    "limits": scenario(
        endpoint(sigma=0.3, limit=200, count=2),
        endpoint("spare", tier=1, limit=300),
        traffic=BUSY,
    ),
    "slow tiers": scenario(
        endpoint(sigma=0.5, median=2),
        endpoint("spare", tier=1, sigma=0.5),
        traffic=BUSY,
        race={"slow_first_token": 3, "hedge": False},
    ),
}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_both_play_the_same_race(name: str, autojump_clock: trio.testing.MockClock) -> None:
    figures = World(SCENARIOS[name]).play()
    nursery = Nursery(SCENARIOS[name])
    await nursery.play()
    assert nursery.world._live.in_flight == 0
    assert nursery.asked == figures.attempts_by_endpoint
    assert nursery.first_token == pytest.approx(list(figures.first_token))
    assert nursery.failed_at == pytest.approx(list(figures.failed_at))
    assert figures.attempts != figures.requests  # it was no run without incidents

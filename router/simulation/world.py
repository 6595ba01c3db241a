"""The world in which a scenario is played: a queue of moments, taken in order.

It does for the deciders what `router.exchange.hedge` does with a nursery: it asks the director what to do,
begins attempts, reports how they ended, stops the losers. The order of calls is the same, attempt for
attempt; only nobody waits for anything, since the clock jumps to the next moment.

Three sources of chance are kept apart, so that another policy meets the same arrivals.
"""

from collections.abc import Callable
from functools import partial
from heapq import heappop, heappush
from itertools import groupby
from random import Random
from typing import Final

import msgspec

from adapters.dialect import Call
from router.catalog.routes import Route
from router.catalog.wishes import Wish
from router.errors import GatewayError
from router.exchange.choice import Choice
from router.exchange.live import Contender, HedgeSettings, LiveEndpoints, Run
from router.routing.budget import AttemptBudget
from router.routing.director import Director, Start, Wait
from router.routing.opening import RaceLimits
from router.simulation.figures import Figures
from router.simulation.scenario import Scenario
from router.simulation.upstreams import Fate, Upstream, upstreams_of

_NEVER: Final = float("inf")
_PROGRESS_EVERY: Final = 1000

Act = Callable[[float], None]


class _Attempt(msgspec.Struct):
    run: Run
    fate: Fate
    ends: float
    hedge: bool


class _Contest(msgspec.Struct, eq=False):
    """One request. `wake` numbers its wish to be woken; only the last one counts."""

    arrived: float
    deadline: float
    director: Director[Contender]
    running: dict[int, _Attempt]
    wake: int = 0
    over: bool = False


class World:
    """One run of one scenario. Play it once."""

    def __init__(self, scenario: Scenario) -> None:
        race = scenario.race
        seed = scenario.traffic.seed
        self._traffic = scenario.traffic
        self._total = scenario.timeouts.total
        self._limits = RaceLimits(
            patience=race.patience,
            slow=race.slow_first_token,
            max_attempts=race.max_attempts,
            hedge=race.hedge,
        )
        self._budget = AttemptBudget(ratio=race.budget_ratio, burst=race.budget_burst)
        self._live = LiveEndpoints(
            "", HedgeSettings(quantile=race.hedge_quantile, minimum=race.hedge_minimum)
        )
        self._arrivals = _chance(seed, "arrivals")
        self._chance = _chance(seed, "choices")
        self._choice = Choice(self._live, attempts=race.max_attempts, rng=self._chance)
        self._luck = _chance(seed, "upstreams")
        upstreams = sorted(upstreams_of(scenario), key=_tier)
        self._route = _route(upstreams)
        self._upstreams = {self._live.of(one.candidate): one for one in upstreams}
        self._call = Call(endpoint="chat", model="simulated", fields={}, stream=True)
        self._wish = Wish(sort=scenario.traffic.sort)
        self._events: list[tuple[float, int, Act]] = []
        self._scheduled = 0
        self._figures = Figures()

    def play(self, on_progress: Callable[[int], None] = lambda _: None) -> Figures:
        """Play to the end: every request answered or given up, every answer complete.

        `on_progress` is told how many more requests have arrived, now and then.
        """
        self._expect_arrival(0.0)
        told = 0
        while self._events:
            now, _, act = heappop(self._events)
            act(now)
            if self._figures.requests >= told + _PROGRESS_EVERY:
                on_progress(self._figures.requests - told)
                told = self._figures.requests
        on_progress(self._figures.requests - told)
        if self._live.in_flight:
            raise RuntimeError("attempts are left in flight: one has got no outcome")
        return self._figures

    def _at(self, moment: float, act: Act) -> None:
        """Let `act` happen at a moment; what is due at the same one happens in the order of the calls."""
        self._scheduled += 1
        heappush(self._events, (moment, self._scheduled, act))

    # --- a request ------------------------------------------------------------------------------

    def _expect_arrival(self, now: float) -> None:
        traffic = self._traffic
        if traffic.requests is not None and self._figures.requests >= traffic.requests:
            return
        moment = now + self._arrivals.expovariate(traffic.rate)
        if traffic.seconds is None or moment < traffic.seconds:
            self._at(moment, self._arrive)

    def _arrive(self, now: float) -> None:
        self._figures.requests += 1
        self._expect_arrival(now)
        self._budget.deposit(now)
        head, rest = self._choice.head(self._route, self._call, self._wish, now)
        director = Director(
            head,
            rest=rest,
            limits=self._limits,
            may_spend=self._budget.try_spend,
            may_hedge=self._budget.try_spend_saved,
            rng=self._chance,
            now=now,
        )
        self._go_on(_Contest(now, now + self._total, director, {}), now)

    def _go_on(self, contest: _Contest, now: float) -> None:
        """Do what the director wants, until it wants to wait or the race is lost."""
        action = contest.director.next(now)
        while isinstance(action, Start):
            self._begin(contest, action, now)
            action = contest.director.next(now)
        if not isinstance(action, Wait):
            self._give_up(contest, now)
        elif action.until < _NEVER:  # else an attempt runs, and its end is awaited
            contest.wake += 1
            self._at(
                min(action.until, contest.deadline), partial(self._wake, contest, contest.wake)
            )

    def _wake(self, contest: _Contest, wake: int, now: float) -> None:
        if contest.over or wake != contest.wake:
            return
        if now >= contest.deadline:
            self._give_up(contest, now)
        else:
            self._go_on(contest, now)

    def _give_up(self, contest: _Contest, now: float) -> None:
        self._close(contest, now)
        self._figures.failed_at.append(contest.arrived)

    def _close(self, contest: _Contest, now: float) -> None:
        """End a race; whoever still runs has lost."""
        contest.over = True
        for attempt in contest.running.values():
            attempt.run.abandoned(now)
        contest.running.clear()

    # --- an attempt -----------------------------------------------------------------------------

    def _begin(self, contest: _Contest, start: Start[Contender], now: float) -> None:
        live = start.candidate.live
        upstream = self._upstreams[live]
        number = contest.director.attempts + 1
        contest.director.started(number, start.candidate, now)
        fate = upstream.fate(now, self._luck)
        run = Run(start.candidate, now)
        contest.running[number] = _Attempt(run, fate, now + fate.seconds, start.hedge)
        ends = min(now + fate.seconds, contest.deadline)
        self._at(ends, partial(self._end, contest, number, upstream))
        figures = self._figures
        figures.attempts += 1
        figures.hedges += start.hedge
        figures.cost += upstream.model.price * fate.paid
        figures.attempts_by_endpoint[upstream.model.name] += 1

    def _end(self, contest: _Contest, number: int, upstream: Upstream, now: float) -> None:
        attempt = contest.running.get(number)
        if attempt is None:  # it lost
            return
        if attempt.ends > contest.deadline:
            self._give_up(contest, now)
        elif attempt.fate.error is not None:
            self._fail(contest, number, attempt.fate.error, now)
        else:
            del contest.running[number]
            self._win(contest, attempt, upstream, now)

    def _fail(self, contest: _Contest, number: int, error: GatewayError, now: float) -> None:
        attempt = contest.running.pop(number)
        told = error.told_retry_after
        attempt.run.failed(error, now=now, rng=self._chance)
        contest.director.failed(number, error, now=now, retry_after=told)
        self._go_on(contest, now)

    def _win(self, contest: _Contest, attempt: _Attempt, upstream: Upstream, now: float) -> None:
        attempt.run.committed(now)
        self._close(contest, now)
        self._figures.first_token.append(now - contest.arrived)
        self._figures.hedges_won += attempt.hedge
        if upstream.model.answer:
            self._at(now + upstream.model.answer, attempt.run.completed)
        else:
            attempt.run.completed(now)


def _chance(seed: int, purpose: str) -> Random:
    return Random(f"{seed} {purpose}")  # noqa: S311 - nothing here is a secret


def _tier(upstream: Upstream) -> int:
    return upstream.model.tier


def _route(upstreams: list[Upstream]) -> Route:
    """Return the route over all endpoints; `upstreams` are in the order of their tiers."""
    tiers = tuple(
        tuple(one.candidate for one in members) for _, members in groupby(upstreams, key=_tier)
    )
    return Route("simulated", tiers, model=None, owned_by="simulated")

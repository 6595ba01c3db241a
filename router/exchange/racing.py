"""Racing: from a route to a winner, with what all races of a process share.

They share the live picture of every candidate, one budget for all extra attempts, and one source of chance. A
contest is one request's race. Where a file of the client's could not be fetched, a second leg asks those who
open its URL themselves; where its prompt turns out too long for everybody, and the operator has named models
with a larger context, a last leg asks those.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from random import Random
from typing import Any, Generic, TypeVar

import msgspec
import trio

from adapters.dialect import Call
from router.catalog.routes import Route
from router.catalog.wishes import Wish
from router.errors import (
    ContextLengthExceeded,
    FileNotFetched,
    GatewayError,
    UpstreamExhausted,
    UpstreamFault,
)
from router.exchange.alarms import Alarms
from router.exchange.books import Books
from router.exchange.choice import Choice, openers, rescuers
from router.exchange.drains import Drains
from router.exchange.hedge import Race, Won
from router.exchange.live import Contender, LiveEndpoints, Run
from router.exchange.options import Hedging
from router.routing.budget import AttemptBudget
from router.routing.director import Director, Lost, RaceLimits

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One client request as a race sees it: what is asked, of whom, how, and where its cost is entered."""

    call: Call
    route: Route
    wish: Wish
    hedge: Hedging
    books: Books


class Racing:
    """What every race of this process is run with."""

    def __init__(
        self,
        *,
        live: LiveEndpoints,
        budget: AttemptBudget,
        limits: RaceLimits,
        drains: Drains,
        alarms: Alarms,
        rng: Random,
    ) -> None:
        self.drains = drains
        self._alarms = alarms
        self._live = live
        self._choice = Choice(live, attempts=limits.max_attempts, rng=rng)
        self._budget = budget
        self._limits = limits
        self._rng = rng

    @property
    def hedges(self) -> bool:
        """Whether races are hedged where nobody says otherwise."""
        return self._limits.hedge

    def race(
        self,
        request: Request,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
    ) -> "Contest[T]":
        """Return the contest of one client request, ready to run. Its request pays into the budget now."""
        self._budget.deposit(trio.current_time())
        return self._contest(request, self._limits, attempt, discard)

    def rescuers(self, route: Route, wish: Wish, broken: Run) -> Route | None:
        """Return who may go on with an answer that broke, `None` where nobody is left to ask."""
        return rescuers(route, wish, broken.live, live=self._live)

    def rescue(
        self,
        request: Request,
        *,
        spent: int,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
    ) -> "Contest[T] | None":
        """Return the contest for what is missing of an answer that broke, paid for by the budget.

        `spent`: the attempts made before. `None` where there is no attempt left to spend.
        """
        left = self._limits.max_attempts - spent
        if left < 1 or not self._budget.try_spend(trio.current_time()):
            return None
        limits = msgspec.structs.replace(self._limits, max_attempts=left)
        request.books.rescuing()
        return self._contest(request, limits, attempt, discard)

    def failed(self, run: Run, error: GatewayError) -> None:
        """Enter the failure of a winner that broke later."""
        run.failed(error, now=trio.current_time(), rng=self._rng)

    def _contest(
        self,
        request: Request,
        limits: RaceLimits,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
    ) -> "Contest[T]":
        if request.hedge is not limits.hedge:
            after = None if isinstance(request.hedge, bool) else request.hedge
            limits = msgspec.structs.replace(limits, hedge=bool(request.hedge), hedge_after=after)
        race_of = partial(
            self._race,
            request=request,
            limits=limits,
            attempt=self.drains.outliving(attempt, request.books),
            discard=discard,
        )
        return Contest(request, race_of, self._live)

    def _race(
        self,
        route: Route,
        now: float,
        *,
        request: Request,
        limits: RaceLimits,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
    ) -> Race[T]:
        head, rest = self._choice.head(route, request.call, request.wish, now)
        director = Director(
            head,
            rest=rest,
            limits=limits,
            may_spend=self._budget.try_spend,
            may_hedge=self._budget.try_spend_saved,
            rng=self._rng,
            now=now,
        )
        return Race(
            director,
            attempt=attempt,
            discard=discard,
            begun=request.books.begun,
            alarms=self._alarms,
            rng=self._rng,
        )


class Contest(Generic[T]):
    """One request's race. `attempts` counts those begun so far.

    `race_of(route, now)` returns the race of those who may serve on a route.
    """

    def __init__(
        self,
        request: Request,
        race_of: Callable[[Route, float], Race[T]],
        live: LiveEndpoints,
    ) -> None:
        self._request = request
        self._race_of = race_of
        self._live = live
        self._directors: list[Director[Contender]] = []

    @property
    def attempts(self) -> int:
        """Attempts begun so far."""
        return sum(director.attempts for director in self._directors)

    async def run(self) -> Won[T]:
        """Run to the end. Raises `GatewayError`; cancellation ends every attempt at once."""
        request = self._request
        route = request.route
        outcome = await self._leg(route)
        if isinstance(outcome, Won):
            return outcome
        others = openers(route, request.call, live=self._live) if _is_unfetched(outcome) else None
        if others is not None:
            route = others
            outcome = await self._leg(route)
        larger = _larger(route)
        if _is_too_long(outcome) and larger is not None:
            outcome = await self._leg(larger)
        if isinstance(outcome, Won):
            return outcome
        raise outcome.fatal or _exhausted(self._directors[-1], trio.current_time())

    def _leg(self, route: Route) -> Coroutine[Any, Any, Won[T] | Lost]:
        """Return the run of one leg, to be awaited."""
        race = self._race_of(route, trio.current_time())
        self._directors.append(race.director)
        return race.run()


def _is_too_long(outcome: Won[T] | Lost) -> bool:
    return isinstance(outcome, Lost) and isinstance(outcome.fatal, ContextLengthExceeded)


def _is_unfetched(outcome: Won[T] | Lost) -> bool:
    return isinstance(outcome, Lost) and isinstance(outcome.fatal, FileNotFetched)


def _larger(route: Route) -> Route | None:
    """Return the route for a prompt that was too long, if the operator arranged one."""
    if not route.larger_context:
        return None
    return msgspec.structs.replace(route, tiers=(route.larger_context,), larger_context=())


def _exhausted(director: Director[Contender], now: float) -> GatewayError:
    """Return the error for a race that nobody won: of the one class if all failed alike, with every reason.

    Its Retry-After is the time at which the first of all candidates may be asked again, where one is known.
    """
    soonest = director.soonest(now)
    wait = soonest - now if soonest is not None else None
    errors = [error for _, error in director.failures]
    if not errors:
        return UpstreamExhausted("No provider of this model can be asked now.", retry_after=wait)
    reasons = " ".join(dict.fromkeys(error.message for error in errors))
    kinds = {type(error) for error in errors if isinstance(error, UpstreamFault)}
    kind = kinds.pop() if len(kinds) == 1 else UpstreamExhausted
    told = [error.told_retry_after for error in errors if error.told_retry_after is not None]
    return kind(reasons, retry_after=min(told, default=None) if wait is None else wait)

"""Racing: from a route to a winner, with what all races of a process share.

They share the live picture of every candidate, one budget for all extra attempts, and one source of chance. A
contest is one request's race. Where a file of the client's could not be fetched, a second leg asks those who
open its URL themselves; where its prompt turns out too long for everybody, and the operator has named models
with a larger context, a last leg asks those.
"""

from collections.abc import Awaitable, Callable
from math import inf
from random import Random
from typing import TypeVar

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
from router.exchange.hedge import Race
from router.exchange.live import Contender, LiveEndpoints, Run
from router.exchange.options import Hedging
from router.routing.budget import AttemptBudget
from router.routing.director import Director, Lost
from router.routing.opening import RaceLimits

T = TypeVar("T")


class Request(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One client request as a race sees it: what is asked, of whom, how, and where its cost is entered.

    `until` is the trio time at which the call must be over, where the race is to see to that.
    """

    call: Call
    route: Route
    wish: Wish
    hedge: Hedging
    books: Books
    until: float = inf


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
        self.alarms = alarms
        self.live = live
        self.choice = Choice(live, attempts=limits.max_attempts, rng=rng)
        self.budget = budget
        self.may_spend = budget.try_spend
        self.may_hedge = budget.try_spend_saved
        self.rng = rng
        self.hedges = limits.hedge  # where nobody says otherwise
        self._limits = limits

    def race(
        self,
        request: Request,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
    ) -> "Contest[T]":
        """Return the contest of one client request, ready to run, which pays into the budget as it begins."""
        return Contest(self, request, self._limits, attempt, discard, pays_in=True)

    def rescuers(self, route: Route, wish: Wish, broken: Run) -> Route | None:
        """Return who may go on with an answer that broke, `None` where nobody is left to ask."""
        return rescuers(route, wish, broken.live, live=self.live)

    def rescue(
        self,
        request: Request,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
    ) -> "Contest[T] | None":
        """Return the contest for what is missing of an answer that broke, paid for by the budget.

        `None` where there is no attempt left to spend.
        """
        left = self._limits.max_attempts - request.books.attempts
        if left < 1 or not self.budget.try_spend(trio.current_time()):
            return None
        limits = msgspec.structs.replace(self._limits, max_attempts=left)
        request.books.rescuing()
        return Contest(self, request, limits, attempt, discard)

    def failed(self, run: Run, error: GatewayError) -> None:
        """Enter the failure of a winner that broke later."""
        run.failed(error, now=trio.current_time(), rng=self.rng)


class Contest(Race[T]):
    """The race of one request. `pays_in`: whether it pays into the budget."""

    __slots__ = ("_pays_in", "_request", "_route", "_shared")

    def __init__(
        self,
        shared: Racing,
        request: Request,
        limits: RaceLimits,
        attempt: Callable[[Run], Awaitable[T]],
        discard: Callable[[T], None],
        *,
        pays_in: bool = False,
    ) -> None:
        if request.hedge is not limits.hedge:
            after = None if isinstance(request.hedge, bool) else request.hedge
            limits = msgspec.structs.replace(limits, hedge=bool(request.hedge), hedge_after=after)
        drains = shared.drains
        super().__init__(
            limits=limits,
            attempt=drains.outliving(attempt, request.books) if drains.is_on else attempt,
            discard=discard,
            begun=request.books.begun,
            alarms=shared.alarms,
            rng=shared.rng,
            until=request.until,
        )
        self._shared = shared
        self._request = request
        self._pays_in = pays_in
        self._route = request.route  # of the leg that runs

    def _line_up(self, now: float) -> None:
        shared, request = self._shared, self._request
        if self._pays_in:
            self._pays_in = False
            shared.budget.deposit(now)
        self._tiers, self._rest = shared.choice.head(self._route, request.call, request.wish, now)

    def _directed(self, now: float) -> Director[Contender]:
        shared = self._shared
        return Director(
            self._tiers,
            rest=self._rest,
            limits=self._limits,
            may_spend=shared.may_spend,
            may_hedge=shared.may_hedge,
            rng=shared.rng,
            now=now,
        )

    def _follow(self, director: Director[Contender], lost: Lost, now: float) -> None:
        route = self._next_route(lost)
        if route is None:
            raise lost.fatal or _exhausted(director, now)
        self._route = route
        self._line_up(now)

    def _next_route(self, lost: Lost) -> Route | None:
        request = self._request
        if isinstance(lost.fatal, FileNotFetched) and self._route is request.route:
            return openers(self._route, request.call, live=self._shared.live)
        return _larger(self._route) if isinstance(lost.fatal, ContextLengthExceeded) else None


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

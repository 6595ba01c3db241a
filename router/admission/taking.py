"""What one request takes from its limits: what it tries to reserve, and then what it holds until it ends.

A request that has waited decides by the credit as it is then, not as it was when it came: what was free may
have been spent meanwhile, and what was spent may have been topped up. Where less credit than wanted will do,
it takes as much as there is. A stream may hold more of it as it goes on.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from limiter.demand import Demand, Refusal, Reservation
from router.admission.engine import Engine
from router.admission.terms import Draw
from router.billing.hold import MOST_HELD, Hold, Wanted
from router.billing.purse import Purse
from router.catalog.routes import Route
from router.errors import BooksUnavailable, GatewayError

TRIES: Final = 4


class Taking(msgspec.Struct, eq=False):
    """One request's share. After success, `held` nano-dollars are held of `hold`.

    `hold` is `None` where nothing is paid in advance. `draw` is what its caller's limits make it draw on,
    `wanted` how much of an answer it may make, `more` what a stream held beside its first share.
    """

    engine: Engine
    _purse: Purse
    draw: Draw
    _route: Route
    tokens: int
    _wanted: Wanted
    hold: Hold | None = None
    held: int = 0
    more: Sequence[Reservation] = ()

    def attempt_at_once(self) -> Reservation | Refusal | None:
        """Reserve, or say what is in the way; `None`, and nothing taken, where `attempt` may do better.

        That is where it takes waiting, or where less credit will do. Raises as `Purse.hold` does.
        """
        draw = self.draw
        if not draw.caller.pays_in_advance:
            return self.engine.reserve_at_once(draw.demands, tokens=self.tokens, credit=0)
        hold = self._purse.hold(draw.caller, self._route, self._wanted)
        if hold is None:
            return None
        outcome = self.engine.reserve_at_once(
            draw.with_credit(hold), tokens=self.tokens, credit=hold.amount
        )
        if isinstance(outcome, Refusal) and outcome.kind == "credit":
            return None
        self.hold, self.held = hold, hold.amount
        return outcome

    async def attempt(self) -> Reservation | Refusal:
        """Reserve, or say what is in the way. When cancelled, nothing stays taken.

        Raises as `Purse.hold` and `Purse.until_known` do.
        """
        draw = self.draw
        if not draw.caller.pays_in_advance:
            return await self.engine.reserve(draw.demands, tokens=self.tokens, credit=0)
        hold = self._purse.hold(draw.caller, self._route, self._wanted)
        if hold is None:
            hold = await self._hold_when_known()
        self.hold = hold
        demands = draw.with_credit(hold)
        outcome, self.held = await self._reserve(demands, 1, hold.amount, hold.least)
        return outcome

    async def hold_more(self, wanted: int, least: int) -> int:
        """Hold more nano-dollars, `wanted` or at least `least`; return how many, or 0.

        Cancelled, it holds no more than before.
        """
        if least > MOST_HELD:
            return 0
        try:
            hold = await self._hold_when_known()
        except GatewayError:
            return 0  # what nobody can see is not spent
        demands = self.draw.credit_demands(hold)
        outcome, more = await self._reserve(demands, 0, min(wanted, MOST_HELD), least)
        if isinstance(outcome, Refusal):
            return 0
        self.more = [*self.more, outcome]
        self.held += more
        return more

    def free(self) -> None:
        """Let go of what was held `more`; the first part ends with the request's own reservation."""
        more, self.more = self.more, ()
        for part in more:
            part.release(now=self.engine.now())

    async def _hold_when_known(self) -> Hold:
        caller = self.draw.caller
        await self._purse.until_known(caller)
        hold = self._purse.hold(caller, self._route, self._wanted)
        if hold is None:
            raise BooksUnavailable
        return hold

    async def _reserve(
        self, demands: Sequence[Demand], calls: int, wanted: int, least: int
    ) -> tuple[Reservation | Refusal, int]:
        """Reserve with `wanted` nano-dollars, or down to `least` if there is no more; say with how many."""
        tokens = self.tokens if calls else 0
        tries = TRIES
        while True:
            tries -= 1
            outcome = await self.engine.reserve(demands, tokens=tokens, credit=wanted, calls=calls)
            if not isinstance(outcome, Refusal) or outcome.kind != "credit":
                return outcome, wanted
            left = outcome.limit - outcome.used  # of one subject; another one may have less
            if not (tries and least <= left < wanted):
                return outcome, wanted
            wanted = left

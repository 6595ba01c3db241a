"""Taking one reservation, with as much credit as there is where less than wanted will do.

A request that has waited decides by the credit as it is then, not as it was when it came: what was free may
have been spent meanwhile, and what was spent may have been topped up.
"""

from collections.abc import Sequence
from typing import Final

from limiter.demand import Demand, Refusal, Reservation
from router.admission.engine import Engine
from router.admission.terms import Draw
from router.billing.hold import Hold, Wanted
from router.billing.purse import Purse
from router.catalog.routes import Route

TRIES: Final = 4


class Taking:
    """What one request tries to reserve. After success, `held` nano-dollars are held of `hold`.

    `draw` is what its caller's limits make it draw on, `wanted` how much of an answer it may make.
    """

    __slots__ = (
        "_draw",
        "_purse",
        "_route",
        "_tokens",
        "_wanted",
        "engine",
        "held",
        "hold",
    )

    def __init__(
        self,
        engine: Engine,
        purse: Purse,
        *,
        draw: Draw,
        route: Route,
        tokens: int,
        wanted: Wanted,
    ) -> None:
        self.engine = engine
        self._purse = purse
        self._draw = draw
        self._route = route
        self._tokens = tokens
        self._wanted = wanted
        self.hold: Hold | None = None
        self.held = 0

    async def attempt(self) -> Reservation | Refusal:
        """Reserve, or say what is in the way. When cancelled, nothing stays taken.

        Raises as `Purse.hold` does.
        """
        draw = self._draw
        hold = self.hold = await self._purse.hold(draw.caller, self._route, self._wanted)
        if hold is None:
            return await self.engine.reserve(draw.demands, tokens=self._tokens, credit=0)
        outcome, self.held = await reserve_within(
            self.engine,
            (*draw.demands, *draw.credit_demands(hold)),
            tokens=self._tokens,
            wanted=hold.amount,
            least=hold.least,
        )
        return outcome

    async def credit_demands(self) -> Sequence[Demand]:
        """Return whose credit it needs, and how much of that there is now. Raises as `Purse.hold` does."""
        hold = await self._purse.hold(self._draw.caller, self._route, self._wanted)
        return self._draw.credit_demands(hold) if hold is not None else ()


async def reserve_within(
    engine: Engine, demands: Sequence[Demand], *, tokens: int, wanted: int, least: int
) -> tuple[Reservation | Refusal, int]:
    """Reserve with `wanted` nano-dollars, or down to `least` if there is no more; return with how many.

    When cancelled, nothing stays taken.
    """
    tries = TRIES
    while True:
        tries -= 1
        outcome = await engine.reserve(demands, tokens=tokens, credit=wanted)
        if not isinstance(outcome, Refusal) or outcome.kind != "credit":
            return outcome, wanted
        left = outcome.limit - outcome.used  # of one subject; another one may have less
        if not (tries and least <= left < wanted):
            return outcome, wanted
        wanted = left

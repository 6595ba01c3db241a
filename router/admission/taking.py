"""Taking one reservation, with as much credit as there is where less than wanted will do.

A request that has waited decides by the credit as it is then, not as it was when it came: what was free may
have been spent meanwhile, and what was spent may have been topped up.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from limiter.demand import Demand, Refusal, Reservation
from router.admission.engine import Engine
from router.billing.hold import Hold

TRIES: Final = 4


class Taking:
    """What one request tries to reserve. After success, `held` nano-dollars are held of `hold`.

    `hold_now()` says what to hold, as of now; `demands_of(hold)` what the request then draws on.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        tokens: int,
        hold_now: Callable[[], Awaitable[Hold | None]],
        demands_of: Callable[[Hold | None], Sequence[Demand]],
    ) -> None:
        self._engine = engine
        self._tokens = tokens
        self._hold_now = hold_now
        self._demands_of = demands_of
        self.hold: Hold | None = None
        self.held = 0

    async def attempt(self) -> Reservation | Refusal:
        """Reserve, or say what is in the way. When cancelled, nothing stays taken.

        Raises what `hold_now` raises.
        """
        hold = self.hold = await self._hold_now()
        outcome, self.held = await reserve_within(
            self._engine,
            self._demands_of(hold),
            tokens=self._tokens,
            wanted=hold.amount if hold is not None else 0,
            least=hold.least if hold is not None else 0,
        )
        return outcome


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

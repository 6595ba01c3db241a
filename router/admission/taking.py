"""Taking one reservation, with as much credit as there is where less than wanted will do."""

from collections.abc import Sequence

from limiter.demand import Demand, Refusal, Reservation
from router.admission.engine import Engine
from router.billing.hold import Hold


class Taking:
    """What one request tries to reserve; `held`: the nano-dollars of credit that the last try asked for."""

    def __init__(
        self, engine: Engine, demands: Sequence[Demand], *, tokens: int, hold: Hold | None
    ) -> None:
        self._engine = engine
        self._demands = demands
        self._tokens = tokens
        self._hold = hold
        self.held = 0

    async def attempt(self) -> Reservation | Refusal:
        """Reserve, or say what is in the way. When cancelled, nothing stays taken."""
        wanted = self._hold.amount if self._hold is not None else 0
        outcome = await self._with(wanted)
        if isinstance(outcome, Refusal) and outcome.kind == "credit" and self._hold is not None:
            left = outcome.limit - outcome.used
            if self._hold.least <= left < wanted:
                return await self._with(left)
        return outcome

    async def _with(self, credit: int) -> Reservation | Refusal:
        self.held = credit
        return await self._engine.reserve(self._demands, tokens=self._tokens, credit=credit)

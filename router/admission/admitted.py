"""An admitted request: what it has reserved, until that ends exactly once."""

import msgspec

from adapters.dialect import Usage
from limiter.demand import Reservation
from limiter.habits import Asked, Habits
from limiter.weighted import weighted_tokens
from router.admission.headers import Headers
from router.admission.reserving import Reserving
from router.admission.taking import Taking
from router.billing.meter import Meter


class Admitted(msgspec.Struct, eq=False):
    """One request's reservation. `settle` ends it, once, synchronously.

    `prompt_tokens`: the estimate of what the prompt costs to read. `cached_weight`: how much cached input
    counts against a limit on tokens, from 0 to 1.
    """

    _taking: Taking
    _reservation: Reservation
    _asked: Asked
    _habits: Habits
    prompt_tokens: int
    _reserving: Reserving
    _cached_weight: float

    @property
    def output_limit(self) -> int | None:
        """The tokens of each choice that its credit pays for, where a whole answer must be capped for it."""
        taking = self._taking
        hold = taking.hold
        if hold is None or taking.held >= hold.amount or hold.wanted.capped:
            return None
        paid = hold.output_for(taking.held)
        return None if paid is None else max(1, paid // self._asked.choices)

    def tokens_of(self, output_bytes: int) -> int:
        """Return how many tokens so much of the answer is: a guess, and no more than its cap."""
        asked = self._asked
        tokens = self._habits.output_tokens_of(output_bytes)
        if asked.cap is None or asked.cap < 0:
            return tokens
        return min(tokens, asked.cap * asked.choices)

    def tokens_of_whole(self, output_bytes: int) -> int:
        """Return how many tokens so much of a whole answer is: a guess, and no more than its cap."""
        tokens, limit = self.tokens_of(output_bytes), self.output_limit
        return tokens if limit is None else min(tokens, limit * self._asked.choices)

    def limit_headers(self) -> Headers | None:
        """Return how its limits stood as it was let in, `None` where that is not known."""
        uses = self._reservation.uses
        return self._taking.draw.windows.headers(uses) if uses else None

    def meter(self) -> Meter | None:
        """Return what watches the answer as a stream, `None` where it cannot cost more than is held."""
        taking = self._taking
        hold = taking.hold
        if hold is None or hold.wanted.capped:
            return None
        return Meter(hold, held=taking.held, tokens_of=self.tokens_of, hold_more=taking.hold_more)

    def settle(self, usage: Usage | None, *, owed: int = 0) -> None:
        """End it with what was used, `None` where the caller is to be charged for nothing.

        `owed`: nano-dollars that stay held where credit was, as one of the engine's debts. Whoever waits for
        what it gives back may try then.
        """
        taking = self._taking
        try:
            now = taking.engine.now()
            if usage is None:
                self._reservation.release(now=now)
            else:
                tokens = weighted_tokens(
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    cached_tokens=usage.cached_tokens,
                    cached_weight=self._cached_weight,
                )
                self._reservation.settle(tokens=tokens, now=now, owed=owed)
                if not usage.estimated:
                    self._habits.learn(
                        self._asked,
                        input_tokens=usage.input_tokens,
                        output_tokens=usage.output_tokens,
                    )
            self._reserving.ended(taking)
        finally:
            if taking.more:
                taking.free()

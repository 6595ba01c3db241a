"""An admitted request: what it has reserved, until that ends exactly once."""

from collections.abc import Callable

from adapters.dialect import Usage
from limiter.demand import Demand, Refusal, Reservation, Standing
from limiter.estimate import Asked
from router.admission.reserving import Taken
from router.admission.taking import Taking, reserve_within
from router.billing.hold import MOST_HELD, Hold
from router.billing.meter import Meter
from router.errors import GatewayError


class HeldCredit:
    """The credit that a request holds; a stream may hold more of it as it goes on."""

    __slots__ = ("_more", "_taking", "held", "hold")

    def __init__(self, taking: Taking, hold: Hold) -> None:
        self.hold = hold
        self.held = taking.held
        self._taking = taking
        self._more: list[Reservation] = []

    async def hold_more(self, wanted: int, least: int) -> int:
        """Hold more nano-dollars, `wanted` or at least `least`; return how many, or 0.

        Cancelled, it holds no more than before.
        """
        if least > MOST_HELD:
            return 0
        try:
            demands = await self._taking.credit_demands()
        except GatewayError:
            return 0  # what nobody can see is not spent
        outcome, more = await reserve_within(
            self._taking.engine, demands, tokens=0, wanted=min(wanted, MOST_HELD), least=least
        )
        if isinstance(outcome, Refusal):
            return 0
        self._more.append(outcome)
        self.held += more
        return more

    def free(self) -> None:
        """Let go of what was held more; the first part ends with the request's own reservation."""
        while self._more:
            self._more.pop().release(now=self._taking.engine.now())


class Admitted:
    """One request's reservation. `settle` ends it, once, synchronously.

    `prompt_tokens`: the estimate of what the prompt costs to read. `output_limit`: the tokens of each choice
    that its credit pays for, where the client must be given less than it asked for. `end` settles what was
    taken, with a usage or `None`, and with the nano-dollars that are still owed.
    """

    __slots__ = ("_asked", "_credit", "_end", "_taken", "prompt_tokens", "tokens_of")

    def __init__(
        self,
        taken: Taken,
        asked: Asked,
        *,
        prompt_tokens: int,
        tokens_of: Callable[[int], int],
        credit: HeldCredit | None,
        end: Callable[[Taken, Asked, Usage | None, int], None],
    ) -> None:
        self._taken = taken
        self._asked = asked
        self._credit = credit
        self._end = end
        self.prompt_tokens = prompt_tokens
        self.tokens_of = tokens_of

    @property
    def holds_credit(self) -> bool:
        """Whether what it costs is taken from somebody's credit."""
        return self._credit is not None

    @property
    def output_limit(self) -> int | None:
        """Return the cap that each choice of a whole answer must be given, `None` where it needs none."""
        credit = self._credit
        if credit is None or credit.hold.wanted.capped or credit.held >= credit.hold.amount:
            return None
        paid = credit.hold.output_for(credit.held)
        return None if paid is None else max(1, paid // self._asked.choices)

    def tokens_of_whole(self, output_bytes: int) -> int:
        """Return how many tokens so much of a whole answer is: a guess, and no more than its cap."""
        tokens, limit = self.tokens_of(output_bytes), self.output_limit
        return tokens if limit is None else min(tokens, limit * self._asked.choices)

    def standings(self, now: float) -> list[tuple[Demand, Standing]] | None:
        """Return how its limits in windows stood as it was let in, `None` where that is not known."""
        reservation = self._taken.reservation
        standings = []
        for place, demand in enumerate(self._taken.demands):
            if demand.limits.requests is not None or demand.limits.tokens is not None:
                standing = reservation.standing(place, now=now)
                if standing is None:
                    return None
                standings.append((demand, standing))
        return standings

    def meter(self) -> Meter | None:
        """Return what watches the answer as a stream, `None` where it cannot cost more than is held."""
        credit = self._credit
        if credit is None or credit.hold.wanted.capped:
            return None
        return Meter(
            credit.hold, held=credit.held, tokens_of=self.tokens_of, hold_more=credit.hold_more
        )

    def settle(self, usage: Usage | None, *, owed: int = 0) -> None:
        """End it with what was used, `None` where the caller is to be charged for nothing.

        `owed`: nano-dollars that stay held until `paid` is called.
        """
        try:
            self._end(self._taken, self._asked, usage, owed)
        finally:
            if self._credit is not None:
                self._credit.free()

    @property
    def paid(self) -> Callable[[], None]:
        """What frees that which was owed, once the balance has been lowered by it; it outlives the rest."""
        return self._taken.reservation.paid

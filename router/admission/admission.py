"""Admission: a request takes its share of every limit before it is served, and settles it when it ends.

What it will use is guessed (`limiter.estimate`), reserved from all its limits at once or from none, and put
right when the provider has counted. If it does not fit it waits for a moment, in a line that is fair; if
that is not enough it is refused, and told a moment at which it will fit even if all others who were refused
come back as they were told.
"""

from collections.abc import Callable

from adapters.dialect import Call
from limiter.demand import Demand, Refusal, Use
from limiter.estimate import Estimator
from limiter.habits import Asked
from limiter.local_reservation import MOST_TOKENS
from limiter.prompt import measure_prompt
from limiter.queue import WaitingLines
from router.accounts.caller import Caller
from router.admission.admitted import Admitted
from router.admission.engine import Engine
from router.admission.headers import Headers
from router.admission.reserving import Reserving
from router.admission.taking import Taking
from router.admission.terms import Terms
from router.billing.hold import LONGEST_ANSWER, Wanted, prompt_with_margin
from router.billing.purse import Purse
from router.catalog.routes import Route
from router.config import LimitsConfig
from router.errors import LimitsUnavailable, ModelNotAllowed


class Admission:
    """Admits the requests of one process. `tiers_that_have(model)` names the tiers with a model.

    `sellable(caller, route)` returns what of a route may be sold to the caller. Raises `ModelNotPriced`.
    """

    def __init__(
        self,
        config: LimitsConfig,
        engine: Engine,
        *,
        estimator: Estimator,
        tiers_that_have: Callable[[str], list[str]],
        purse: Purse,
    ) -> None:
        self._config = config
        self._engine = engine
        self._tiers_that_have = tiers_that_have
        self._purse = purse
        self._terms = Terms(config, config.models)
        lines = WaitingLines(
            most_per_key=config.most_waiting_per_key, most_in_all=config.most_waiting
        )
        self._reserving = Reserving(engine, lines, wait_seconds=config.wait_seconds)
        self.estimator = estimator
        self.sellable = purse.route_for

    @property
    def waiting(self) -> int:
        """Requests that wait for their limits now."""
        return self._reserving.waiting

    def check_tier(self, caller: Caller, model: str) -> None:
        """Raise `ModelNotAllowed` unless the caller's tier has the model with this id."""
        if not caller.tier.models.match(model):
            raise ModelNotAllowed(
                model, tier=caller.tier.name, tiers_with=self._tiers_that_have(model)
            )

    async def admit(self, caller: Caller, call: Call, body: bytes, *, route: Route) -> Admitted:
        """Reserve what a call will probably use. Raises `LimitExceeded`, `CreditEmpty`, `CreditHeld`,
        `BooksUnavailable`; when cancelled, nothing stays taken.

        `body` is the client's whole request, `route` what it leads to.
        """
        self._purse.check()
        asked = Asked(prompt=measure_prompt(body), cap=call.output_cap, choices=call.choices)
        habits = self.estimator.habits_of(caller.key.id, route.id)
        prompt = habits.input_tokens(asked.prompt)
        output = habits.output_tokens(asked)
        draw = self._terms.draw(caller, route.id)
        # More than a limit could never be served, and more than the engine counts is a slip.
        most = MOST_TOKENS if draw.most_tokens is None else draw.most_tokens
        tokens = min(prompt + output, most)
        wanted = _wanted(asked, call, route, prompt=prompt, output=output)
        taking = Taking(self._engine, self._purse, draw, route, tokens, wanted)
        reserving = self._reserving
        outcome = reserving.take_at_once(taking)
        if outcome is None or isinstance(outcome, Refusal):
            outcome = await reserving.take(caller.key.id, taking, outcome)
        return Admitted(
            taking, outcome, asked, habits, prompt, reserving, self._config.cached_weight
        )

    def prompt_tokens(self, caller: Caller, body: bytes, *, route: Route) -> int:
        """Return how many tokens a whole request is probably to the model; takes nothing for it."""
        habits = self.estimator.habits_of(caller.key.id, route.id)
        return habits.input_tokens(measure_prompt(body))

    async def headers(self, caller: Caller, model: str | None) -> Headers:
        """Return the limit headers for an answer to this caller, as the limits stand now.

        Where nobody can tell there are none: an answer, or another error, is not withheld for them.
        """
        draw = self._terms.draw(caller, model)
        try:
            uses = [await self._use(demand) for demand in draw.demands]
        except LimitsUnavailable:
            return []
        return draw.windows.headers(uses) or []

    async def _use(self, demand: Demand) -> Use | None:
        """Return what its subject has in use now, `None` where its windows have no limit."""
        if demand.limits.requests is None and demand.limits.tokens is None:
            return None
        standing = await self._engine.standing(demand.subject)
        return (
            standing.used_requests,
            standing.used_tokens,
            standing.requests_reset,
            standing.tokens_reset,
        )


def _wanted(asked: Asked, call: Call, route: Route, *, prompt: int, output: int) -> Wanted:
    """Return how much of an answer to hold credit for; `output` is the estimate of its tokens."""
    capped = asked.cap is not None and asked.cap >= 0
    if not (capped or call.stream):
        longest = route.model.max_output_tokens if route.model is not None else None
        output = (longest or LONGEST_ANSWER) * asked.choices
    return Wanted(prompt_tokens=prompt_with_margin(prompt), output_tokens=output, capped=capped)

"""Admission: a request takes its share of every limit before it is served, and settles it when it ends.

What it will use is guessed (`limiter.estimate`), reserved from all its limits at once or from none, and put
right when the provider has counted. If it does not fit it waits for a moment, in a line that is fair; if
that is not enough it is refused, and told a moment at which it will fit even if all others who were refused
come back as they were told.
"""

from collections.abc import Callable, Sequence
from functools import partial

from adapters.dialect import Call, Usage
from limiter.demand import Demand, Reservation, Standing
from limiter.estimate import Asked, Estimator
from limiter.prompt import measure_prompt
from limiter.queue import WaitingLines
from limiter.weighted import weighted_tokens
from router.accounts.caller import Caller
from router.admission.engine import Engine
from router.admission.headers import Headers, limit_headers
from router.admission.reserving import Reserving
from router.admission.terms import Terms, most_tokens
from router.config import LimitsConfig
from router.errors import ModelNotAllowed


class Admitted:
    """One request's reservation. Ended exactly once, by `settle` or `release`; both are synchronous."""

    def __init__(
        self,
        admission: "Admission",
        reservation: Reservation,
        asked: Asked,
        demands: Sequence[Demand],
        *,
        prompt_tokens: int,
    ) -> None:
        self._admission = admission
        self._reservation = reservation
        self._asked = asked
        self._demands = demands
        self.prompt_tokens = prompt_tokens

    def tokens_of(self, output_bytes: int) -> int:
        """Return the tokens that so much text of the model probably took."""
        return self._admission.estimator.output_tokens_of(self._asked.model, output_bytes)

    def settle(self, usage: Usage | None) -> None:
        """End it with what was used, `None` where the caller is to be charged for nothing."""
        self._admission.end(self._reservation, self._asked, self._demands, usage)


class Admission:
    """Admits the requests of one process. `tiers_that_have(model)` names the tiers with a model."""

    def __init__(
        self,
        config: LimitsConfig,
        engine: Engine,
        *,
        estimator: Estimator,
        tiers_that_have: Callable[[str], list[str]],
    ) -> None:
        self._config = config
        self._engine = engine
        self._tiers_that_have = tiers_that_have
        self._terms = Terms(config, config.models)
        lines = WaitingLines(
            most_per_key=config.most_waiting_per_key, most_in_all=config.most_waiting
        )
        self._reserving = Reserving(engine, lines, wait_seconds=config.wait_seconds)
        self.estimator = estimator

    @property
    def waiting(self) -> int:
        """Requests that wait for their limits now."""
        return self._reserving.waiting

    def check_tier(self, caller: Caller, model: str) -> None:
        """Raise `ModelNotAllowed` unless the caller's tier has the model with this id."""
        if not caller.tier.allows(model):
            raise ModelNotAllowed(
                model, tier=caller.tier.name, tiers_with=self._tiers_that_have(model)
            )

    async def admit(self, caller: Caller, call: Call, body: bytes, *, model: str) -> Admitted:
        """Reserve what a call will probably use. Raises `LimitExceeded`; when cancelled, nothing stays taken.

        `body` is the client's whole request, `model` the id under which its model is listed.
        """
        asked = Asked(
            key=caller.key.id,
            model=model,
            prompt=measure_prompt(body),
            cap=call.output_cap,
            choices=call.choices,
        )
        demands = self._terms.demands(caller, model)
        prompt = self.estimator.input_tokens(asked)
        most = most_tokens(demands)
        tokens = prompt + self.estimator.output_tokens(asked, most=most)
        if most is not None:
            tokens = min(tokens, most)  # or it could never be served
        reservation = await self._reserving.take(
            asked.key,
            demands,
            tokens=tokens,
            attempt=partial(self._engine.reserve, demands, tokens=tokens, credit=0),
        )
        return Admitted(self, reservation, asked, demands, prompt_tokens=prompt)

    async def headers(self, caller: Caller, model: str | None) -> Headers:
        """Return the limit headers for an answer to this caller, as the limits stand now."""
        return limit_headers(await self._standings(self._terms.demands(caller, model)))

    def end(
        self,
        reservation: Reservation,
        asked: Asked,
        demands: Sequence[Demand],
        usage: Usage | None,
    ) -> None:
        """Settle a reservation with what was used, or release it, and let whoever waits for that try."""
        now = self._engine.now()
        if usage is None:
            reservation.release(now=now)
        else:
            reservation.settle(tokens=self._weighted(usage), now=now)
            if not usage.estimated:
                self.estimator.learn(
                    asked, input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
                )
        self._reserving.ended(asked.key, demands)

    def _weighted(self, usage: Usage) -> int:
        return weighted_tokens(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_tokens=usage.cached_tokens,
            cached_weight=self._config.cached_weight,
        )

    async def _standings(self, demands: Sequence[Demand]) -> list[tuple[Demand, Standing]]:
        return [
            (demand, await self._engine.standing(demand.subject))
            for demand in demands
            if demand.limits.requests is not None or demand.limits.tokens is not None
        ]

"""Which limits a request must pass: from who is calling, and for which model, to demands on the limiter.

A key's limits are its own, where it has none its tier's, and where that has none the configuration's. An
account's limits are shared by all of its keys. A model's limits are shared by everybody, and protect what the
operator has of it.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from limiter.demand import Demand, Limits
from router.accounts.caller import Caller
from router.billing.hold import Hold
from router.config import LimitTable

MOST_REMEMBERED: Final = 20_000
_NO_LIMITS: Final = Limits()


class Draw(msgspec.Struct, frozen=True, eq=False):
    """What requests of a caller for a model draw on, credit apart.

    `in_windows` are those of the demands that limit requests or tokens, `most_tokens` is the least of the
    limits on tokens, `None` where there is none. `budget` and `credit` are the subjects of its credit, which
    are others: a stream that holds more as it goes on is not another request.
    """

    caller: Caller
    demands: tuple[Demand, ...]
    in_windows: tuple[Demand, ...]
    most_tokens: int | None
    budget: str
    credit: str

    def credit_demands(self, hold: Hold) -> list[Demand]:
        """Return whose credit a request needs, and how much of it may be held in all."""
        demands = []
        if hold.key is not None:
            demands.append(Demand(subject=self.budget, limits=_NO_LIMITS, credit=hold.key))
        if hold.account is not None:
            demands.append(Demand(subject=self.credit, limits=_NO_LIMITS, credit=hold.account))
        return demands


class Terms:
    """The limits of one configuration. `models`: the limits of single models, by their id."""

    def __init__(self, general: LimitTable, models: Mapping[str, LimitTable]) -> None:
        self._general = limits_of(general)
        self._models = {model: limits_of(table) for model, table in models.items()}
        self._draws: dict[tuple[str, str | None], Draw] = {}

    def draw(self, caller: Caller, model: str | None) -> Draw:
        """Return what a request draws on, worked out once for each caller and model.

        A caller whose terms have changed is another object, so what is remembered cannot be stale.
        """
        # A model that has no limit is as good as none.
        which = (caller.key.id, model if model in self._models else None)
        draw = self._draws.get(which)
        if draw is None or draw.caller is not caller:
            if len(self._draws) >= MOST_REMEMBERED:
                self._draws.clear()
            draw = self._draws[which] = _draw(caller, self.demands(caller, model))
        return draw

    def demands(self, caller: Caller, model: str | None) -> tuple[Demand, ...]:
        """Return what a request draws on, credit apart.

        The key is always among them, so that its use is known even where nothing limits it.
        """
        demands = [Demand(subject=f"key:{caller.key.id}", limits=self.of_key(caller))]
        if caller.account.limits != _NO_LIMITS:
            demands.append(
                Demand(subject=f"account:{caller.account.id}", limits=caller.account.limits)
            )
        limits = self._models.get(model) if model is not None else None
        if limits is not None:
            demands.append(Demand(subject=f"model:{model}", limits=limits))
        return tuple(demands)

    def all_demands(self, caller: Caller) -> tuple[Demand, ...]:
        """Return what any request of this caller might draw on: every limited model of its tier too."""
        models = (
            Demand(subject=f"model:{model}", limits=limits)
            for model, limits in sorted(self._models.items())
            if caller.tier.allows(model)
        )
        return (*self.demands(caller, None), *models)

    def of_key(self, caller: Caller) -> Limits:
        """Return the limits of the caller's key."""
        return _first(_first(caller.key.limits, caller.tier.limits), self._general)


def _draw(caller: Caller, demands: tuple[Demand, ...]) -> Draw:
    in_windows = tuple(
        demand
        for demand in demands
        if demand.limits.requests is not None or demand.limits.tokens is not None
    )
    return Draw(
        caller,
        demands,
        in_windows,
        most_tokens(demands),
        budget=f"budget:{caller.key.id}",
        credit=f"credit:{caller.account.id}",
    )


def limits_of(table: LimitTable) -> Limits:
    """Return what a table of the configuration says."""
    return Limits(
        requests=table.requests_per_minute,
        tokens=table.tokens_per_minute,
        concurrency=table.concurrency,
    )


def most_tokens(demands: Sequence[Demand]) -> int | None:
    """Return the smallest limit on tokens among the demands, `None` where there is none."""
    limits = (demand.limits.tokens for demand in demands)
    return min((limit for limit in limits if limit is not None), default=None)


def _first(own: Limits, general: Limits) -> Limits:
    if own == _NO_LIMITS:
        return general
    return Limits(
        requests=general.requests if own.requests is None else own.requests,
        tokens=general.tokens if own.tokens is None else own.tokens,
        concurrency=general.concurrency if own.concurrency is None else own.concurrency,
    )

"""Which limits a request must pass: from who is calling, and for which model, to demands on the limiter.

A key's limits are its own, where it has none its tier's, and where that has none the configuration's. An
account's limits are shared by all of its keys. A model's limits are shared by everybody, and protect what the
operator has of it.

Credit is counted where the calls are: what a key may still spend of its budget with the key, and what a
prepaid account has with the account.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from limiter.demand import NO_LIMITS, Demand, Limits
from router.accounts.caller import Caller
from router.admission.headers import Windows
from router.billing.hold import Hold
from router.config import LimitTable

MOST_REMEMBERED: Final = 20_000


class Draw:
    """What requests of a caller for a model draw on; `demands` have no credit in them.

    `most_tokens` is the least of the limits on tokens, `None` where there is none; `limited_in_tokens` are
    the subjects that have one, and `windows` tell all limits per minute as headers.
    """

    __slots__ = (
        "_account",
        "_key",
        "_with_credit",
        "caller",
        "demands",
        "limited_in_tokens",
        "most_tokens",
        "windows",
    )

    def __init__(self, caller: Caller, demands: tuple[Demand, ...]) -> None:
        self.caller = caller
        self.demands = demands
        limits = {d.subject: d.limits.tokens for d in demands if d.limits.tokens is not None}
        self.limited_in_tokens = tuple(limits)
        self.windows = Windows(demands)
        self.most_tokens = min(limits.values(), default=None)
        self._account: int | None = None
        self._key: int | None = None
        self._with_credit = demands

    def with_credit(self, hold: Hold) -> tuple[Demand, ...]:
        """Return the demands with whose credit a request needs, and how much of it may be held in all.

        That changes only as balances are read anew, so what was returned last mostly is what is asked for.
        """
        account, key = hold.account, hold.key
        if account != self._account or key != self._key:
            credit = {_of_account(self.caller): account, _of_key(self.caller): key}
            self._account, self._key = account, key
            self._with_credit = tuple(
                msgspec.structs.replace(demand, credit=credit.get(demand.subject))
                for demand in self.demands
            )
        return self._with_credit

    def credit_demands(self, hold: Hold) -> list[Demand]:
        """Return the demands of a call that runs and holds more credit: it is not another request."""
        return [
            msgspec.structs.replace(demand, limits=NO_LIMITS)
            for demand in self.with_credit(hold)
            if demand.credit is not None
        ]


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
            draw = self._draws[which] = Draw(caller, self.demands(caller, model))
        return draw

    def demands(self, caller: Caller, model: str | None) -> tuple[Demand, ...]:
        """Return what a request draws on, credit apart.

        The key is always among them, so that its use is known even where nothing limits it; so is an account
        with credit, which limits it as well.
        """
        demands = [Demand(subject=_of_key(caller), limits=self.of_key(caller))]
        account = caller.account
        if account.prepaid or account.limits != NO_LIMITS:
            demands.append(Demand(subject=_of_account(caller), limits=account.limits))
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


def limits_of(table: LimitTable) -> Limits:
    """Return what a table of the configuration says."""
    return Limits(
        requests=table.requests_per_minute,
        tokens=table.tokens_per_minute,
        concurrency=table.concurrency,
    )


def _of_key(caller: Caller) -> str:
    return f"key:{caller.key.id}"


def _of_account(caller: Caller) -> str:
    return f"account:{caller.account.id}"


def _first(own: Limits, general: Limits) -> Limits:
    if own == NO_LIMITS:
        return general
    return Limits(
        requests=general.requests if own.requests is None else own.requests,
        tokens=general.tokens if own.tokens is None else own.tokens,
        concurrency=general.concurrency if own.concurrency is None else own.concurrency,
    )

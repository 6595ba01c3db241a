"""The engine of many machines: their counts live in one store, and the operator says what happens without it.

While the store is away, a gateway either serves its own share of every limit, counted on this machine
alone, or refuses. The shares of all machines together are never above the limit; what was used in the
shared store within the last minute is not known to them, so for that long up to twice the limit may pass.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec
import trio

from limiter.demand import Debts, Demand, Limits, Refusal, Reservation, Standing
from limiter.turns import spread_evenly
from limiter.valkey import StoreAway, ValkeyLimiter
from router.admission.engine import Engine, LocalEngine, Schedule
from router.errors import LimitsUnavailable


class SharedEngine:
    """Asks the store, and this machine's `share` where the store is away; `None` refuses then.

    `machines`: how many gateways share every limit. `report(reason)` hears when the store goes away, and with
    `None` when it is back.
    """

    def __init__(
        self,
        store: ValkeyLimiter,
        share: LocalEngine | None,
        *,
        machines: int,
        clock: Callable[[], float],
        report: Callable[[str | None], None],
    ) -> None:
        self._store = store
        self._report = report
        self._is_away = False
        self._share: Engine | None = share
        self._machines = machines
        self.now = clock  # by which the local share is counted; the store has its own

    def reserve_at_once(
        self,
        demands: Sequence[Demand],
        *,
        tokens: int,
        credit: int,
        calls: int = 1,
    ) -> None:
        """Take nothing: the store is never asked without waiting for it."""

    async def reserve(
        self, demands: Sequence[Demand], *, tokens: int, credit: int, calls: int = 1
    ) -> Reservation | Refusal:
        """Take from all demands or from none. Raises `LimitsUnavailable`; cancelled, it takes nothing."""
        try:
            outcome = await self._store.reserve(
                demands, tokens=tokens, credit=credit, calls=calls, now=self.now()
            )
        except StoreAway as away:
            self._note(str(away))
            share = self._own_share()
        else:
            self._note(None)
            return outcome
        shares = [_share_of(demand, self._machines) for demand in demands]
        most = min((d.limits.tokens for d in shares if d.limits.tokens is not None), default=tokens)
        return await share.reserve(shares, tokens=min(tokens, most), credit=credit, calls=calls)

    def take_debts(self) -> Sequence[Debts]:
        """Return what calls owe that have ended since this was last asked, wherever they were counted."""
        debts = self._store.take_debts()
        of_share = () if self._share is None else self._share.take_debts()
        return of_share if debts is None else (debts, *of_share)

    async def standing(self, subject: str) -> Standing:
        """Return what a subject has in use on all machines, or here while the store is away."""
        try:
            return await self._store.standing(subject)
        except StoreAway:
            return await self._own_share().standing(subject)

    async def schedule(self, subject: str) -> Schedule:
        """Return when what is in use expires, as if it had come in evenly: the store does not tell it."""
        standing = await self.standing(subject)
        return Schedule(spread_evenly(standing.used_requests), spread_evenly(standing.used_tokens))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Talk to the store until cancelled; started when it has been asked once, successfully or not."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._store.run)
            await self._warm_up()
            task_status.started()

    async def _warm_up(self) -> None:
        """Ask everything once: the first time takes longer than a request's patience."""
        demand = Demand(subject="warm-up", limits=Limits())
        with suppress(StoreAway):
            taken = await self._store.reserve([demand], tokens=0, credit=0, now=self.now())
            if not isinstance(taken, Refusal):
                taken.release(now=self.now())
        with suppress(StoreAway):
            await self._store.standing(demand.subject)

    def _note(self, reason: str | None) -> None:
        if self._is_away is not (reason is not None):
            self._is_away = reason is not None
            self._report(reason)

    def _own_share(self) -> Engine:
        if self._share is None:
            raise LimitsUnavailable
        return self._share


def _share_of(demand: Demand, machines: int) -> Demand:
    """Return a demand on one machine's share: at least one of everything, or nobody would be served."""
    limits = demand.limits
    return msgspec.structs.replace(
        demand,
        limits=Limits(
            requests=_part(limits.requests, machines),
            tokens=_part(limits.tokens, machines),
            concurrency=_part(limits.concurrency, machines),
        ),
        credit=None if demand.credit is None else demand.credit // machines,
    )


def _part(limit: int | None, machines: int) -> int | None:
    return None if limit is None else max(1, limit // machines)

"""The engine as its callers see it: the limits of `limiter.demand`, shared by all gateways with one store."""

from collections.abc import Callable, Mapping, Sequence
from secrets import token_hex

import trio

from limiter.demand import Demand, Refusal, Standing
from limiter.valkey.books import ValkeyDebts
from limiter.valkey.link import Store, store_at
from limiter.valkey.places import parts, place
from limiter.valkey.reservation import ValkeyReservation
from limiter.valkey.rounds import Rounds, Settings
from limiter.valkey.waiting import WaitingForReservation, WaitingForStanding
from limiter.valkey.wire import Caller


class ValkeyLimiter:
    """Limits in a Valkey or Redis server. `run` must be running for anything to be reserved.

    `store`: a URL as `limiter.valkey.link.store_at` reads it, or a `Store`, whose client is made anew after
    every trouble. `instance`: this gateway's name. Every start adds a random part to it, so that a gateway
    that comes back does not keep the calls alive that it was running when it died. `clock` replaces the
    server's in tests (microseconds). Raises `ValueError` where the URL is not understood.
    """

    def __init__(
        self,
        store: str | Store,
        *,
        instance: str,
        settings: Settings | None = None,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._store = store_at(store, self._settings.give_up) if isinstance(store, str) else store
        self.instance = f"{instance}#{token_hex(4)}"
        caller = Caller(
            self.instance,
            bucket_seconds=self._settings.bucket,
            alive_seconds=self._settings.alive,
            clock=clock,
        )
        self._rounds = Rounds(self._store, caller, self._settings)

    @property
    def away(self) -> str | None:
        """Why the store cannot be asked now; `None` where it can."""
        breaker = self._rounds.breaker
        return breaker.cause if breaker.is_open else None

    @property
    def dropped_notes(self) -> int:
        """How many corrections the server will never hear of. What they were to give back expires instead."""
        return self._rounds.books.dropped

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Talk to the server until cancelled, or until `aclose`. Run it once, in a nursery of the caller.

        Started after the first try, successful or not: a gateway starts without its store as well. It
        never raises because of the store. Cancelled, it answers nobody: whoever waits gets `StoreAway`.
        """
        await self._rounds.run(task_status)

    async def reserve(
        self,
        demands: Sequence[Demand],
        *,
        tokens: int,
        credit: int = 0,
        calls: int = 1,
        now: float,  # noqa: ARG002 - the server's clock counts
        tags: Mapping[str, str] | None = None,
    ) -> ValkeyReservation | Refusal:
        """Take one request, `tokens` and `credit` from all subjects, or nothing from any.

        With `calls` of 0 nothing but credit is taken: a call that is running holds more of it.
        `tags` says which subjects of a cluster lie together; one that it does not name lies by itself. A
        single server decides about all subjects at once, whatever their tags. In a cluster each tag is
        decided by itself, and where one refuses, what the others gave goes back; then two reservations
        at the same moment may refuse each other.

        Raises `StoreAway`: at once when the store is known to be away, else when the patience is over.
        Cancelled, it holds nothing: what the server still takes is given back when its answer comes.
        """
        if tokens < 0 or credit < 0:
            raise ValueError(f"cannot reserve {tokens} tokens and {credit} of credit")
        if calls != 1 and (calls or tokens):
            raise ValueError(f"cannot reserve {tokens} tokens for {calls} calls")
        groups = parts(demands, tags or {}, prefix=self._settings.prefix, apart=self._store.cluster)
        waiting = WaitingForReservation(
            groups, tokens=tokens, credit=credit, calls=calls, books=self._rounds.books
        )
        await self._rounds.ask(waiting)
        return waiting.outcome

    def take_debts(self) -> ValkeyDebts | None:
        """Return what calls owe that have ended since this was last asked; `None`: nothing.

        It stays held until it is paid, and it is the caller's to see to that.
        """
        return self._rounds.books.take_debts()

    async def standing(self, subject: str, *, tag: str | None = None) -> Standing:
        """Return what a subject has in use on all gateways together. Raises `StoreAway`.

        `tag`: the one it is reserved with, if any.
        """
        waiting = WaitingForStanding(place(self._settings.prefix, subject, tag))
        await self._rounds.ask(waiting)
        return waiting.outcome

    async def aclose(self) -> None:
        """Tell the server of all that has ended, then let `run` end. Gives up where the store is away."""
        await self._rounds.close()

"""Opening what a worker stands on: the store, the shared table of limits, the journal.

The order matters. What dead workers left in the journal is booked first, while the table still counts what
they owed; only then is a place in the table taken, which writes their debts off.
"""

import os
import time
from contextlib import AsyncExitStack
from typing import Protocol

import trio

from limiter.local import LocalLimiter
from limiter.table import Table
from router.accounts.errors import StoreError
from router.accounts.store import KeyStore
from router.admission.engine import Engine, LocalEngine
from router.billing.billing import Billing, Desk, open_journal
from router.billing.opening import journal_folder, price_list
from router.catalog.models import load_seed
from router.config import Config, FetchConfig
from router.console.stores import Stores
from router.gateway import Gateway
from router.ledger.credit_store import CreditStore
from router.ledger.replay import JournalDamaged
from router.ledger.settlement import Settlement
from router.ledger.store import SettlementStore
from router.observe.log import Log
from router.observe.trace import Tracer
from router.places import limits_folder, store_location
from router.upstream.dial import Dial
from router.upstream.fetching import Fetcher, FetchLimits
from router.upstream.pinned import PinnedDialer
from router.workers.seat import Seat


class Runs(Protocol):
    """Something that must run beside the gateway."""

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled."""


class Worker:
    """A gateway and all that runs beside it."""

    def __init__(self, gateway: Gateway, store: KeyStore, desk: Desk, shared: Runs | None) -> None:
        self.gateway = gateway
        self._store = store
        self._desk = desk
        self._shared = shared

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; settlements that can be booked by then are booked."""
        async with trio.open_nursery() as nursery:
            if self._shared is not None:
                await nursery.start(self._shared.run)
            await nursery.start(self._desk.run)
            await nursery.start(self.gateway.run, self._store)
            task_status.started()


async def open_worker(
    stack: AsyncExitStack, config: Config, *, log: Log, dial: Dial, tracer: Tracer, seat: Seat
) -> Worker:
    """Open everything; `stack` closes it. Raises `StoreError`, `OSError`, `TableError`, `ImportError`."""

    def report(what: str, error: Exception) -> None:
        log.logger.error(what, exc_info=error)

    store = stack.enter_context(
        await trio.to_thread.run_sync(KeyStore.open, store_location(config))
    )
    books = SettlementStore(store.database)
    folder = journal_folder(config)
    if folder is None:
        raise StoreError("no folder is configured for the journal: set money.journal")
    journal, replayed = await trio.to_thread.run_sync(open_journal, folder, books)
    if replayed.booked:
        log.logger.info("booked what dead workers left", settlements=replayed.booked)
    for path, damage in replayed.damage:
        report("settlements could not be booked", JournalDamaged(path, [damage]))
    table = stack.enter_context(Table.open(limits_folder(config)))
    if table.replaced:
        log.logger.warning("limits begin anew: their counts were damaged", regions=table.replaced)

    def lost(settlement: Settlement) -> None:
        log.logger.error("a settlement could not be written down", settlement=repr(settlement))

    engine, shared = _engine(config, LocalLimiter(table), seat, log)
    billing = Billing(
        price_list(config, load_seed()),
        journal,
        take_debts=engine.take_debts,
        lost=lost,
        outage_seconds=config.money.outage_seconds,
        clock=time.monotonic,
    )
    gateway = Gateway(
        config,
        log=log,
        dial=dial,
        engine=engine,
        billing=billing,
        tracer=tracer,
        fetcher=fetcher_of(config.fetch),
        stores=Stores(store.database),
        seat=seat,
    )
    gateway.ring.replace((await trio.to_thread.run_sync(store.load))[1])
    desk = Desk(billing, journal, books, CreditStore(store.database), report=report)
    return Worker(gateway, store, desk, shared)


def _engine(
    config: Config, limiter: LocalLimiter, seat: Seat, log: Log
) -> tuple[Engine, Runs | None]:
    """Return the engine that the configuration asks for, and what of it must run."""
    limits = config.limits
    local = LocalEngine(limiter, clock=time.monotonic)
    if limits.url is None:
        return local, None
    try:
        # The client library is optional, and only needed here.
        from limiter.valkey import Settings, ValkeyLimiter  # noqa: PLC0415
        from router.admission.shared import SharedEngine  # noqa: PLC0415
    except ImportError as error:
        raise StoreError(
            "[limits] url needs the extra 'valkey': pip install 'syzeai[valkey]'"
        ) from error
    shared = ValkeyLimiter(
        limits.url.reveal(),
        instance=f"{os.uname().nodename}-{os.getpid()}-{seat.index}",
        settings=Settings(patience=limits.patience),
    )

    def report(reason: str | None) -> None:
        if reason is None:
            log.logger.info("limits are shared again")
        else:
            log.logger.error("the store of the limits is away", reason=reason)

    engine = SharedEngine(
        shared,
        local if limits.when_away == "share" else None,
        machines=limits.machines,
        clock=time.monotonic,
        report=report,
    )
    return engine, engine


def fetcher_of(wanted: FetchConfig) -> Fetcher | None:
    """Return what gets files from clients' URLs, `None` where that is not wanted."""
    if not wanted.enabled:
        return None
    limits = FetchLimits(
        private=frozenset(host.lower() for host in wanted.private_hosts),
        max_bytes=wanted.max_bytes,
        max_total_bytes=wanted.max_total_bytes,
        max_urls=wanted.max_urls,
        seconds=wanted.seconds,
        at_a_time=wanted.at_a_time,
    )
    return Fetcher(connect=PinnedDialer(), limits=limits)

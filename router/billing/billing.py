"""The billing of one process, put together: prices, credit in memory, holds, and settlements written down."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from limiter.demand import Debts
from router.billing.balances import SETTLED_SECONDS, Balances, CreditSource, watch_balances
from router.billing.notebook import Notebook
from router.billing.prices import PriceList
from router.billing.purse import Purse
from router.billing.settling import Settling
from router.ledger.journal import Journal
from router.ledger.mover import JournalMover, Listener
from router.ledger.replay import Books, Replayed, replay_folder
from router.ledger.settlement import Settlement
from router.ledger.store import Batch, Stored

DRAIN_SECONDS = 5.0


class Billing:
    """What admission and exchange need of money. `clock` is monotonic seconds, `wall_clock` unix time.

    `take_debts` gives what has become owed since it was last asked, see `Settling`.
    """

    def __init__(  # noqa: PLR0913 - what all of the billing is made of comes in here
        self,
        prices: PriceList,
        notebook: Notebook,
        *,
        take_debts: Callable[[], Sequence[Debts]],
        lost: Callable[[Settlement], None],
        outage_seconds: float,
        clock: Callable[[], float] = trio.current_time,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.prices = prices
        self.balances = Balances(outage_seconds=outage_seconds, clock=clock)
        self.purse = Purse(prices, self.balances, notebook)
        self.settling = Settling(
            prices,
            notebook,
            lost=lost,
            take_debts=take_debts,
            balances=self.balances,
            wall_clock=wall_clock,
        )


class Desk(Listener):
    """Runs a process's billing beside its requests: credit is read, settlements are booked, debts are freed.

    `report(what, error)` hears of every trouble.
    """

    def __init__(
        self,
        billing: Billing,
        journal: Journal,
        books: Books,
        credit: CreditSource,
        *,
        report: Callable[[str, Exception], None],
    ) -> None:
        self._billing = billing
        self._journal = journal
        self._credit = credit
        self._report = report
        self._mover = JournalMover(journal, books, self)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled. What is not booked by then is booked before this returns, if it can be.

        It then stays until everybody can have read the new balances: what is owed here is written off with
        this worker's place in the table.
        """
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._watch)
                nursery.start_soon(self._mover.run)
                nursery.start_soon(self._billing.settling.run)
                task_status.started()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + DRAIN_SECONDS):
                await self._finish()
            self._journal.close()

    async def _watch(self, *, task_status: trio.TaskStatus[None]) -> None:
        await watch_balances(
            self._credit,
            self._billing.balances,
            on_error=lambda error: self._report("credit cannot be read", error),
            task_status=task_status,
        )

    async def _finish(self) -> None:
        try:
            await self._mover.finish()
        except Exception as error:  # noqa: BLE001 - it stays in the journal, for whoever starts next
            self._report("settlements are left in the journal", error)
        else:
            if self._billing.settling.owes:
                await trio.sleep(SETTLED_SECONDS)

    def booking(self) -> None:
        """Note what is owed for the settlements that are booked next."""
        self._billing.settling.booking()

    def booked(self, batch: Batch, stored: Stored) -> None:  # noqa: ARG002 - balances are read by the watch
        """Free what was held for what is booked, once everybody can have read the new balances."""
        self._billing.settling.booked(self._journal.booked)

    def adopted(self, replayed: Replayed) -> None:
        """Nothing is held here for what dead workers had left."""

    def trouble(self, error: Exception) -> None:
        """Report what the mover meets."""
        self._report("settlements could not be booked", error)


def open_journal(folder: Path, books: Books) -> tuple[Journal, Replayed]:
    """Book what dead workers left in the folder; return this one's journal. Blocks; raises `StoreError`.

    What they owed is written off when somebody takes their place in the table. Where a sibling may be
    selling meanwhile, it is first given the time to read the new balances.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    replayed = replay_folder(folder, books)
    if replayed.booked and replayed.others:
        time.sleep(SETTLED_SECONDS)
    return Journal(folder), replayed

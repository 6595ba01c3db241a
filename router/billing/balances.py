"""Credit in memory: what each prepaid account has, as the books said a moment ago.

No request asks the database. A task reads the balances four times a second, and a request decides by what
was read last, less what running calls hold and what ended calls still owe (`limiter`). A debt stays counted
for `SETTLED_SECONDS` after it was booked, and nothing is sold by a balance that is older: so a charge is at
all times in the balance that others see, in the debts, or in both, and never in neither.

When the database says that it is away nothing is booked either, so what was read last stays true; after
`outage_seconds` prepaid requests are refused all the same, for by then something else may be wrong. Where a
reading merely takes long, whoever wants to sell waits for it.
"""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import trio

READ_SECONDS: Final = 0.25
SETTLED_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 5.0


class CreditSource(Protocol):
    """Where credit is read from; blocks, and runs in a worker thread."""

    def credit(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return the credit of prepaid accounts and what keys with a budget have spent, at one moment."""


class Balances:
    """The credit that was read last. `now` is monotonic seconds."""

    def __init__(self, *, outage_seconds: float) -> None:
        self._outage_seconds = outage_seconds
        self._credit: Mapping[str, int] = {}
        self._spent: Mapping[str, int] = {}
        self._is_away = False
        self._read = trio.Event()
        self.read_at = -float("inf")

    def replace(
        self, credit: Mapping[str, int], spent: Mapping[str, int], *, read_at: float
    ) -> None:
        """Take what was read, in nano-dollars; `read_at` is when the reading began."""
        self._credit, self._spent = credit, spent
        self.read_at = read_at
        self._is_away = False
        self._tell()

    def away(self) -> None:
        """Hear that they could not be read: what is known stays true until they can."""
        self._is_away = True
        self._tell()

    def of(self, account_id: str) -> int:
        """Return the credit of an account; one that was never paid into has none."""
        return self._credit.get(account_id, 0)

    def spent(self, key_id: str) -> int:
        """Return what a key with a budget has spent of it."""
        return self._spent.get(key_id, 0)

    def may_be_trusted(self, now: float) -> bool:
        """Whether the credit was read recently enough to sell on it."""
        return now - self.read_at <= (self._outage_seconds if self._is_away else SETTLED_SECONDS)

    async def until_trusted(self, clock: Callable[[], float]) -> bool:
        """Wait for a reading if one is overdue; return whether the credit may be trusted now.

        Does not wait where it may be trusted, nor for a database that is known to be away.
        """
        if self.may_be_trusted(clock()):
            return True
        with trio.move_on_after(PATIENCE_SECONDS):
            while not self.may_be_trusted(clock()) and not self._is_away:
                await self._read.wait()
        return self.may_be_trusted(clock())

    def _tell(self) -> None:
        self._read.set()
        self._read = trio.Event()


async def watch_balances(
    source: CreditSource,
    balances: Balances,
    *,
    on_error: Callable[[Exception], None],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Keep `balances` equal to `source` until cancelled; started after the first try, good or bad.

    A failure leaves them as they are, is passed to `on_error`, and is tried again.
    """
    # Its own limiter: a busy thread pool elsewhere must not make credit look old.
    limiter = trio.CapacityLimiter(1)
    while True:
        began = trio.current_time()
        try:
            credit, spent = await trio.to_thread.run_sync(
                source.credit, abandon_on_cancel=True, limiter=limiter
            )
            balances.replace(credit, spent, read_at=began)
        except Exception as error:  # noqa: BLE001 - the watch outlives any failure, and reports it
            balances.away()
            on_error(error)
        task_status.started()
        task_status = trio.TASK_STATUS_IGNORED
        await trio.sleep(READ_SECONDS)

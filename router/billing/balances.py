"""Credit in memory: what each prepaid account that calls has, as the books said a moment ago.

No request asks the database. A task reads the balances of those who have called lately, four times a second
and at once when somebody else calls, and a request decides by what was read last, less what running calls
hold and what ended calls still owe (`limiter`). A debt stays counted for `SETTLED_SECONDS` after it was
booked, and nothing is sold by a balance that is older: so a charge is at all times in the balance that others
see, in the debts, or in both, and never in neither.

When the database says that it is away nothing is booked either, so what was read last stays true; after
`outage_seconds` prepaid requests are refused all the same, for by then something else may be wrong. Nor is
anything sold then to who has not called for minutes, whose credit nobody knows. Where a reading merely takes
long, whoever wants to sell waits for it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import trio

READ_SECONDS: Final = 0.25
SETTLED_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 5.0
FORGOTTEN_SECONDS: Final = 300.0


class CreditSource(Protocol):
    """Where credit is read from; blocks, and runs in a worker thread."""

    def credit(
        self, accounts: Sequence[str], keys: Sequence[str]
    ) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return the credit of these accounts and what these keys have spent, at one moment.

        Nothing is said of who has never been paid into, and of who has spent nothing.
        """


class Wanted(NamedTuple):
    """Whose credit is to be read: accounts, and keys with a budget."""

    accounts: Sequence[str]
    keys: Sequence[str]


class Balances:
    """The credit that was read last, of those who call. `clock`, by which it ages, is monotonic seconds."""

    def __init__(
        self, *, outage_seconds: float, clock: Callable[[], float] = trio.current_time
    ) -> None:
        self.clock = clock
        self._outage_seconds = outage_seconds
        self._accounts: dict[str, float] = {}  # when each was asked for last
        self._keys: dict[str, float] = {}
        self._credit: Mapping[str, int] = {}
        self._spent: Mapping[str, int] = {}
        self._is_away = False
        self._read = trio.Event()
        self._asked = trio.Event()
        self.read_at = -float("inf")

    def wanted(self, now: float) -> Wanted:
        """Return whose credit is to be read now; those who have not called for long are forgotten."""
        self._asked = trio.Event()
        called_since = now - FORGOTTEN_SECONDS
        for asked in (self._accounts, self._keys):
            for id_ in [id_ for id_, asked_at in asked.items() if asked_at < called_since]:
                del asked[id_]
        return Wanted(tuple(self._accounts), tuple(self._keys))

    async def until_due(self) -> None:
        """Wait until the credit is to be read again: for a while, or until somebody calls of whom none is."""
        with trio.move_on_after(READ_SECONDS):
            await self._asked.wait()

    def replace(
        self,
        wanted: Wanted,
        credit: Mapping[str, int],
        spent: Mapping[str, int],
        *,
        read_at: float,
    ) -> None:
        """Take what was read of those who were `wanted`, in nano-dollars; `read_at` is when that began."""
        self._credit = {account: credit.get(account, 0) for account in wanted.accounts}
        self._spent = {key: spent.get(key, 0) for key in wanted.keys}
        self.read_at = read_at
        self._is_away = False
        self._tell()

    def away(self) -> None:
        """Hear that they could not be read: what is known stays true until they can."""
        self._is_away = True
        self._tell()

    def look_up(self, *, account: str | None, key: str | None) -> tuple[int, int] | None:
        """Return the credit of an account, and what a key with a budget has spent of it.

        `None` unless both were read recently enough to sell on them; from now on they are read, if they were
        not. An account that was never paid into has 0, and so has what need not be known, given as `None`.
        """
        now = self.clock()
        credit: int | None = 0
        spent: int | None = 0
        if account is not None:
            self._accounts[account] = now
            credit = self._credit.get(account)
        if key is not None:
            self._keys[key] = now
            spent = self._spent.get(key)
        if credit is None or spent is None:
            self._asked.set()
            return None
        patience = self._outage_seconds if self._is_away else SETTLED_SECONDS
        return (credit, spent) if now - self.read_at <= patience else None

    async def until_known(self, *, account: str | None, key: str | None) -> bool:
        """Wait for a reading if one is overdue; return whether `look_up` tells anything now.

        Does not wait where it does, nor for a database that is known to be away.
        """
        if self.look_up(account=account, key=key) is not None:
            return True
        with trio.move_on_after(PATIENCE_SECONDS):
            while not self._is_away:
                await self._read.wait()
                if self.look_up(account=account, key=key) is not None:
                    return True
        return self.look_up(account=account, key=key) is not None

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
        began = balances.clock()
        wanted = balances.wanted(began)
        try:
            credit, spent = await trio.to_thread.run_sync(
                source.credit, *wanted, abandon_on_cancel=True, limiter=limiter
            )
            balances.replace(wanted, credit, spent, read_at=began)
        except Exception as error:  # noqa: BLE001 - the watch outlives any failure, and reports it
            balances.away()
            on_error(error)
        task_status.started()
        task_status = trio.TASK_STATUS_IGNORED
        await balances.until_due()

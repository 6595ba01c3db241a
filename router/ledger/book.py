"""The books as the operator and the accounts' owners use them: pay in, give back, look up, prove.

All calls block on the database, so inside trio they belong in a worker thread. Each is one transaction.
Charges do not come this way: they arrive in batches from the journal, see `store`.
"""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from router.accounts.database import Database
from router.accounts.errors import UnknownAccount
from router.accounts.schema import accounts
from router.ledger.entry import ADJUSTMENTS, PAYMENTS, REVENUE, Draft, Entry
from router.ledger.posting import ENTRIES, post_once
from router.ledger.schema import OPERATOR, balances, ledger_entries
from router.ledger.verification import Verification, verify_books

MOST_LISTED = 1000


class Book:
    """The ledger in one database. Any method may raise a StoreError.

    Every posting takes an idempotency `key`: said twice it counts once, and gives the first entry again. It
    raises `KeyReused` if the key stands for something else, `UnknownAccount`, and `ValueError` for an amount
    that cannot be.
    """

    def __init__(self, database: Database, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall_clock = wall_clock

    def top_up(
        self,
        account: str,
        nanodollars: int,
        *,
        key: str,
        source: str = PAYMENTS,
        reference: str = "",
    ) -> Entry:
        """Add credit that was paid for; `source` is the operator's account that it comes from."""
        _check_positive(nanodollars)
        return self._post(
            Draft(
                key=key,
                account=account,
                counter_account=source,
                amount=nanodollars,
                kind="top_up",
                reference=reference,
            )
        )

    def refund(self, account: str, nanodollars: int, *, key: str, reference: str = "") -> Entry:
        """Give back what was charged."""
        _check_positive(nanodollars)
        return self._post(
            Draft(
                key=key,
                account=account,
                counter_account=REVENUE,
                amount=nanodollars,
                kind="refund",
                reference=reference,
            )
        )

    def adjust(self, account: str, nanodollars: int, *, key: str, reference: str = "") -> Entry:
        """Add or, with a negative amount, take credit; `reference` says why. Raises `Overdraw`.

        What running requests hold is not in the books: taking away credit that they hold leaves less
        than they may cost, and the rest is then booked as the operator's loss.
        """
        return self._post(
            Draft(
                key=key,
                account=account,
                counter_account=ADJUSTMENTS,
                amount=nanodollars,
                kind="adjustment",
                reference=reference,
            )
        )

    def balance(self, account: str) -> int:
        """Return the balance of an account in nano-dollars; 0 where nothing was ever booked."""
        query = select(balances.c.amount).where(balances.c.account == account)
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none() or 0

    def balances(self) -> dict[str, int]:
        """Return the balances of all customers' accounts that anything was ever booked on."""
        query = select(balances).where(balances.c.account.not_like(f"{OPERATOR}%"))
        with self._database.reading() as connection:
            return {row.account: row.amount for row in connection.execute(query)}

    def operator_balances(self) -> dict[str, int]:
        """Return the operator's side of the books, by account."""
        query = select(balances).where(balances.c.account.like(f"{OPERATOR}%"))
        with self._database.reading() as connection:
            return {row.account: row.amount for row in connection.execute(query)}

    def history(
        self, account: str, *, limit: int = 100, before: int | None = None
    ) -> Sequence[Entry]:
        """Return an account's newest entries, newest first; `before` an entry's id for the next page."""
        query = ENTRIES.where(ledger_entries.c.account == account)
        if before is not None:
            query = query.where(ledger_entries.c.id < before)
        query = query.order_by(ledger_entries.c.id.desc()).limit(min(limit, MOST_LISTED))
        with self._database.reading() as connection:
            return [Entry(**row._asdict()) for row in connection.execute(query)]

    def verify(self) -> Verification:
        """Prove that every balance is the sum of its entries, from one moment's view of the books."""
        with self._database.reading() as connection:
            return verify_books(connection)

    def _post(self, draft: Draft) -> Entry:
        with self._database.writing() as connection:
            require_account(connection, draft.account)
            return post_once(connection, draft, at=self._wall_clock())


def require_account(connection: Connection, account: str) -> None:
    """Raise `UnknownAccount` unless a customer's account has this id."""
    if connection.execute(select(accounts.c.id).where(accounts.c.id == account)).first() is None:
        raise UnknownAccount(account)


def _check_positive(nanodollars: int) -> None:
    if nanodollars <= 0:
        raise ValueError(f"the amount must be above zero, not {nanodollars}")

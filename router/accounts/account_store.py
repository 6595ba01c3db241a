"""Accounts at rest: made, changed and closed by an operator while the gateway runs.

An account is named by its id or, while it is open, by its name. It is never deleted, for its money
has a history. All calls block, so inside trio they belong in a worker thread.
"""

import time
from collections.abc import Callable

import msgspec
from sqlalchemy import Connection, insert, select, update

from limiter.demand import Limits
from router.accounts.account import Account, generate_account_id
from router.accounts.database import Database
from router.accounts.errors import (
    AccountClosed,
    AccountNeeded,
    NameTaken,
    UnknownAccount,
    UnknownTier,
)
from router.accounts.keys import DEFAULT_ACCOUNT_ID
from router.accounts.revision import changing
from router.accounts.rows import account_of, account_values
from router.accounts.schema import accounts
from router.accounts.terms import check_limits, check_name
from router.accounts.tier import DEFAULT_TIER
from router.accounts.tier_store import tier_names

_ACCOUNTS = select(accounts).order_by(accounts.c.created_at, accounts.c.id)
_OPEN = accounts.c.closed_at.is_(None)


class AccountStore:
    """The accounts of one database. Any method may raise a StoreError; times are unix seconds."""

    def __init__(self, database: Database, *, wall_clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._wall_clock = wall_clock

    def create(
        self,
        name: str,
        *,
        tier: str = DEFAULT_TIER,
        prepaid: bool = False,
        limits: Limits = Limits(),  # noqa: B008 - it is frozen
    ) -> Account:
        """Open an account and return it. Raises InvalidName, NameTaken, UnknownTier, InvalidTerms."""
        account = Account(
            id=generate_account_id(),
            name=name,
            tier=tier,
            prepaid=prepaid,
            limits=limits,
            created_at=self._wall_clock(),
        )
        with changing(self._database) as connection:
            _check(connection, account)
            connection.execute(insert(accounts).values(account_values(account)))
        return account

    def list_accounts(self, *, include_closed: bool = False) -> list[Account]:
        """Return the accounts, oldest first."""
        with self._database.reading() as connection:
            return all_accounts(connection, include_closed=include_closed)

    def find(self, selector: str) -> Account:
        """Return the account with this id, or the open one with this name. UnknownAccount."""
        with self._database.reading() as connection:
            return account_matching(connection, selector)

    def change(self, selector: str, edit: Callable[[Account], Account]) -> Account:
        """Replace an account by what `edit` makes of it and return that.

        Its id, and when it was made and closed, stay as they are. Raises UnknownAccount, what
        `create` raises, and what `edit` raises.
        """
        with changing(self._database) as connection:
            found = account_matching(connection, selector)
            changed = msgspec.structs.replace(
                edit(found),
                id=found.id,
                created_at=found.created_at,
                closed_at=found.closed_at,
            )
            _check(connection, changed)
            _write(connection, changed)
            return changed

    def close(self, selector: str) -> Account:
        """Close an account and return it: its keys stop working, its history stays.

        Raises UnknownAccount, AccountClosed, AccountNeeded.
        """
        with changing(self._database) as connection:
            found = account_matching(connection, selector)
            if found.closed_at is not None:
                raise AccountClosed(found.id)
            if found.id == DEFAULT_ACCOUNT_ID:
                raise AccountNeeded(f"the account {found.id} owns all keys that no other does")
            closed = msgspec.structs.replace(found, closed_at=self._wall_clock())
            _write(connection, closed)
            return closed


def all_accounts(connection: Connection, *, include_closed: bool = False) -> list[Account]:
    """Return the accounts, oldest first, as this transaction sees them."""
    query = _ACCOUNTS if include_closed else _ACCOUNTS.where(_OPEN)
    return [account_of(row) for row in connection.execute(query)]


def account_matching(connection: Connection, selector: str) -> Account:
    """Return the account with this id, else the open one with this name. Raises UnknownAccount."""
    if selector.isprintable():
        for meant in (accounts.c.id == selector, _OPEN & (accounts.c.name == selector)):
            row = connection.execute(_ACCOUNTS.where(meant)).one_or_none()
            if row is not None:
                return account_of(row)
    names = connection.execute(select(accounts.c.name).where(_OPEN)).scalars()
    raise UnknownAccount(selector, names)


def _check(connection: Connection, account: Account) -> None:
    check_name(account.name, "an account")
    check_limits(account.limits)
    names = tier_names(connection)
    if account.tier not in names:
        raise UnknownTier(account.tier, names)
    same = _OPEN & (accounts.c.name == account.name) & (accounts.c.id != account.id)
    if account.closed_at is None and connection.execute(_ACCOUNTS.where(same)).first() is not None:
        raise NameTaken(f"there is an open account named {account.name!r} already")


def _write(connection: Connection, account: Account) -> None:
    values = account_values(account)
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(values))

"""Accounts, as operators open, change and close them."""

import msgspec
from msgspec import UNSET, UnsetType

from router.accounts.account import Account
from router.accounts.tier import DEFAULT_TIER
from router.console.fields import (
    LimitChanges,
    LimitFields,
    Listing,
    Moment,
    Record,
    given,
    limit_fields,
    moment,
    moment_or_none,
)
from router.console.operation import Asked, NoQuery
from router.console.stores import Stores


class AccountQuery(Record, kw_only=True):
    """Which accounts; closed ones are left out unless asked for."""

    closed: bool = False


class AccountNew(LimitFields, kw_only=True):
    """An account to open. Its limits are what all of its keys may use together."""

    name: str
    tier: str = DEFAULT_TIER
    prepaid: bool = False


class AccountChange(LimitChanges, kw_only=True):
    """What is to be different."""

    name: str | UnsetType = UNSET
    tier: str | UnsetType = UNSET
    prepaid: bool | UnsetType = UNSET


class AccountInfo(LimitFields, kw_only=True):
    """An account."""

    id: str
    name: str
    tier: str
    prepaid: bool
    created_at: Moment
    closed_at: Moment | None


def list_accounts(stores: Stores, asked: Asked[AccountQuery, None]) -> Listing[AccountInfo]:
    """Return the accounts, oldest first."""
    found = stores.accounts.list_accounts(include_closed=asked.query.closed)
    return Listing(data=[account_info(account) for account in found])


def open_account(stores: Stores, asked: Asked[NoQuery, AccountNew]) -> AccountInfo:
    """Open an account."""
    new = asked.body
    made = stores.accounts.create(new.name, tier=new.tier, prepaid=new.prepaid, limits=new.limits())
    return account_info(made)


def show_account(stores: Stores, asked: Asked[NoQuery, None]) -> AccountInfo:
    """Return one account."""
    return account_info(stores.accounts.find(asked.target))


def change_account(stores: Stores, asked: Asked[NoQuery, AccountChange]) -> AccountInfo:
    """Change an account."""
    wanted = asked.body
    changes = given({"name": wanted.name, "tier": wanted.tier, "prepaid": wanted.prepaid})

    def edit(found: Account) -> Account:
        return msgspec.structs.replace(found, **changes, limits=wanted.over(found.limits))

    return account_info(stores.accounts.change(asked.target, edit))


def close_account(stores: Stores, asked: Asked[NoQuery, None]) -> AccountInfo:
    """Close an account for good."""
    return account_info(stores.accounts.close(asked.target))


def account_info(account: Account) -> AccountInfo:
    """Return what is told of an account."""
    return AccountInfo(
        id=account.id,
        name=account.name,
        tier=account.tier,
        prepaid=account.prepaid,
        created_at=moment(account.created_at),
        closed_at=moment_or_none(account.closed_at),
        **limit_fields(account.limits),
    )

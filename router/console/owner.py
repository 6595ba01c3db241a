"""What the owner of an API key can see and do for itself: its use, its credit, a code turned in.

It sees its own account only, and nothing of what the operator spent besides.
"""

from typing import Literal

from router.accounts.caller import Caller
from router.console.codes import redeem
from router.console.fields import Listing, Record, Usd
from router.console.operation import Asked, NoQuery
from router.console.stores import Stores
from router.console.usage import PeriodQuery, UsageLine, dimensions_of, usage_lines
from router.ledger.money import format_usd
from router.ledger.usage import Scope, usage_report


class OwnUsageQuery(PeriodQuery, kw_only=True):
    """Which use: of the whole account, or of the key that asks."""

    of: Literal["account", "key"] = "account"
    model: str | None = None


class OwnCredit(Record, kw_only=True):
    """What the account has, and what the key may spend. A budget of null is none."""

    account_id: str
    prepaid: bool
    balance_usd: Usd
    key_budget_usd: Usd | None
    key_spent_usd: Usd


class OwnUsage(Listing[UsageLine], kw_only=True):
    """What was used, and the credit that is left."""

    credit: OwnCredit


class CodeText(Record, kw_only=True):
    """A redeem code; case, spaces and hyphens do not matter."""

    code: str


class Redeemed(Record, kw_only=True):
    """What a code has added, and the balance now."""

    added_usd: Usd
    balance_usd: Usd


def show_own_usage(stores: Stores, asked: Asked[OwnUsageQuery, None]) -> OwnUsage:
    """Return what the account or the key used."""
    caller, query = _caller(asked.caller), asked.query
    scope = Scope(
        account_id=caller.account.id,
        key_id=caller.key.id if query.of == "key" else None,
        model=query.model,
        since=None if query.since is None else query.since.isoformat(),
        until=None if query.until is None else query.until.isoformat(),
    )
    lines = usage_lines(stores, scope, dimensions_of(query.by))
    return OwnUsage(data=lines, credit=_credit(stores, caller))


def redeem_own_code(stores: Stores, asked: Asked[NoQuery, CodeText]) -> Redeemed:
    """Turn a code into credit of the key's account."""
    account = _caller(asked.caller).account.id
    entry = redeem(stores, asked.body.code, account)
    return Redeemed(
        added_usd=entry.amount_usd, balance_usd=format_usd(stores.book.balance(account))
    )


def _credit(stores: Stores, caller: Caller) -> OwnCredit:
    key = caller.key
    with stores.database.reading() as connection:
        [spent] = usage_report(connection, Scope(key_id=key.id))
    budget = key.budget_nanodollars
    return OwnCredit(
        account_id=caller.account.id,
        prepaid=caller.account.prepaid,
        balance_usd=format_usd(stores.book.balance(caller.account.id)),
        key_budget_usd=None if budget is None else format_usd(budget),
        key_spent_usd=format_usd(spent.cost_nanodollars),
    )


def _caller(caller: Caller | None) -> Caller:
    if caller is None:
        raise TypeError("only API keys have an owner")
    return caller

"""Credit and the books: paid in, given back, put right, looked up and proved.

What an operator books by hand has a key of his own choosing, kept apart from those that the gateway makes
up for charges, codes and payments. Said twice it counts once, on the command line and over HTTP together.
"""

from typing import Annotated, Final

from msgspec import Meta

from router.accounts.account import Account
from router.accounts.errors import AccountClosed
from router.console.fields import Listing, Moment, Record, Usd, moment, nanodollars_of
from router.console.operation import Asked, NoQuery
from router.console.stores import Stores
from router.ledger.entry import PAYMENTS, Entry
from router.ledger.money import format_usd
from router.ledger.schema import OPERATOR
from router.ledger.verification import Verification

BY_HAND: Final = "manual:"

Reference = Annotated[str, Meta(max_length=500)]


class Credit(Record, kw_only=True):
    """What an account has, running calls not counted."""

    account_id: str
    account: str
    prepaid: bool
    balance_usd: Usd


class Movement(Record, kw_only=True):
    """An amount to move, and what it is about."""

    amount_usd: Usd
    reference: Reference = ""


class LedgerQuery(Record, kw_only=True):
    """Which entries: at most `limit`, older than the one with the id `before`."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    before: int | None = None


class LedgerEntry(Record, kw_only=True):
    """One line of the books: `amount_usd` was added to `account` and taken from `counter_account`."""

    id: int
    created_at: Moment
    kind: str
    account: str
    counter_account: str
    amount_usd: Usd
    reference: str
    model: str | None
    key: str


class WrongBalanceInfo(Record, kw_only=True):
    """An account whose balance is not the sum of its entries."""

    account: str
    balance_usd: Usd
    booked_usd: Usd


class VerificationInfo(Record, kw_only=True):
    """The proof of the books. `sound`: every balance is the sum of its entries, and all else agrees."""

    sound: bool
    entries: int
    accounts: int
    wrong: list[WrongBalanceInfo]
    below_zero: int
    imbalance_usd: Usd
    charged_usd: Usd
    used_usd: Usd


def show_credit(stores: Stores, asked: Asked[NoQuery, None]) -> Credit:
    """Return the credit of an account."""
    return credit_of(stores, stores.accounts.find(asked.target))


def top_up(stores: Stores, asked: Asked[NoQuery, Movement]) -> LedgerEntry:
    """Add credit that was paid for."""
    amount = nanodollars_of(asked.body.amount_usd)
    return pay_in(stores, asked.target, amount, key=asked.key, reference=asked.body.reference)


def refund(stores: Stores, asked: Asked[NoQuery, Movement]) -> LedgerEntry:
    """Give back what was charged."""
    amount = nanodollars_of(asked.body.amount_usd)
    account = stores.accounts.find(asked.target)
    entry = stores.book.refund(
        account.id, amount, key=BY_HAND + asked.key, reference=asked.body.reference
    )
    return entry_info(entry)


def adjust(stores: Stores, asked: Asked[NoQuery, Movement]) -> LedgerEntry:
    """Add credit or, with a negative amount, take it."""
    amount = nanodollars_of(asked.body.amount_usd, signed=True)
    account = stores.accounts.find(asked.target)
    entry = stores.book.adjust(
        account.id, amount, key=BY_HAND + asked.key, reference=asked.body.reference
    )
    return entry_info(entry)


def list_entries(stores: Stores, asked: Asked[LedgerQuery, None]) -> Listing[LedgerEntry]:
    """Return an account's newest entries, newest first; also of one of the operator's own accounts."""
    name = asked.target
    account = name if name.startswith(OPERATOR) else stores.accounts.find(name).id
    found = stores.book.history(account, limit=asked.query.limit, before=asked.query.before)
    return Listing(data=[entry_info(entry) for entry in found])


def verify(stores: Stores, asked: Asked[NoQuery, None]) -> VerificationInfo:  # noqa: ARG001 - nothing asked
    """Prove that every balance is the sum of its entries."""
    return verification_info(stores.book.verify())


def pay_in(
    stores: Stores,
    account: str,
    nanodollars: int,
    *,
    key: str,
    reference: str,
    source: str = PAYMENTS,
) -> LedgerEntry:
    """Add credit to an open account, named by id or name. Raises `AccountClosed` and what `Book` raises."""
    found = stores.accounts.find(account)
    if found.closed_at is not None:
        raise AccountClosed(found.id)
    entry = stores.book.top_up(
        found.id, nanodollars, key=BY_HAND + key, source=source, reference=reference
    )
    return entry_info(entry)


def credit_of(stores: Stores, account: Account) -> Credit:
    """Return what is told of an account's credit."""
    return Credit(
        account_id=account.id,
        account=account.name,
        prepaid=account.prepaid,
        balance_usd=format_usd(stores.book.balance(account.id)),
    )


def entry_info(entry: Entry) -> LedgerEntry:
    """Return what is told of an entry."""
    return LedgerEntry(
        id=entry.id,
        created_at=moment(entry.created_at),
        kind=entry.kind,
        account=entry.account,
        counter_account=entry.counter_account,
        amount_usd=format_usd(entry.amount),
        reference=entry.reference,
        model=entry.model,
        key=entry.key,
    )


def verification_info(found: Verification) -> VerificationInfo:
    """Return what is told of a proof."""
    wrong = [
        WrongBalanceInfo(
            account=one.account,
            balance_usd=format_usd(one.balance),
            booked_usd=format_usd(one.booked),
        )
        for one in found.wrong
    ]
    return VerificationInfo(
        sound=found.sound,
        entries=found.entries,
        accounts=found.accounts,
        wrong=wrong,
        below_zero=found.below_zero,
        imbalance_usd=format_usd(found.imbalance),
        charged_usd=format_usd(found.charged),
        used_usd=format_usd(found.used),
    )

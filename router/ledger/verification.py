"""The proof of the books: everything that is cached is derived again from the entries and compared.

Two statements. The first adds up both sides of every entry by account and lists the accounts whose cached
balance is another number. The second asks for what must hold for all of them together. The database does
the adding, a few passes over the entries, and it can do so while the books are written to, for both
statements see one moment.
"""

from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    func,
    literal,
    select,
    union_all,
)

from router.ledger.schema import OPERATOR, balances, ledger_entries, usage_days

_SHOWN: Final = 100
_ZERO: Final = literal(0, BigInteger)


class WrongBalance(msgspec.Struct, frozen=True):
    """An account whose cached balance is not the sum of its entries; both in nano-dollars."""

    account: str
    balance: int
    booked: int


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `wrong` holds the first hundred accounts.

    `imbalance` is the sum of all balances, 0 where debits equal credits. `below_zero` counts customers'
    balances. `charged` is what the entries charge, `used` what the usage by day says was charged.
    """

    entries: int
    accounts: int
    wrong: tuple[WrongBalance, ...]
    imbalance: int
    below_zero: int
    charged: int
    used: int

    @property
    def sound(self) -> bool:
        """Whether everything agrees."""
        return (
            not self.wrong
            and self.imbalance == 0
            and self.below_zero == 0
            and self.charged == self.used
        )


def verify_books(connection: Connection) -> Verification:
    """Derive the books again; the connection's transaction decides which moment is seen."""
    legs = union_all(
        select(
            ledger_entries.c.account,
            func.sum(ledger_entries.c.amount).label("booked"),
            _ZERO.label("cached"),
        ).group_by(ledger_entries.c.account),
        select(
            ledger_entries.c.counter_account, -func.sum(ledger_entries.c.amount), _ZERO
        ).group_by(ledger_entries.c.counter_account),
        select(balances.c.account, _ZERO, balances.c.amount),
    ).subquery()
    booked, cached = func.sum(legs.c.booked), func.sum(legs.c.cached)
    wrong = connection.execute(
        select(legs.c.account, cached, booked)
        .group_by(legs.c.account)
        .having(booked != cached)
        .order_by(legs.c.account)
        .limit(_SHOWN)
    )
    return Verification(
        wrong=tuple(WrongBalance(name, int(has), int(should)) for name, has, should in wrong),
        **_totals(connection),
    )


def _totals(connection: Connection) -> dict[str, int]:
    charges = ledger_entries.c.kind == "charge"
    overdrawn = and_(balances.c.amount < 0, balances.c.account.not_like(f"{OPERATOR}%"))
    totals = {
        "entries": _counted(select(ledger_entries)),
        "accounts": _counted(select(balances)),
        "imbalance": _summed(select(func.sum(balances.c.amount))),
        "below_zero": _counted(select(balances).where(overdrawn)),
        "charged": _summed(select(-func.sum(ledger_entries.c.amount)).where(charges)),
        "used": _summed(select(func.sum(usage_days.c.charged_nanodollars))),
    }
    row = connection.execute(select(*(query.label(name) for name, query in totals.items()))).one()
    return {name: int(value) for name, value in row._asdict().items()}


def _counted(query: Select[Any]) -> ScalarSelect[int]:
    return query.with_only_columns(func.count(), maintain_column_froms=True).scalar_subquery()


def _summed(query: Select[Any]) -> ColumnElement[int]:
    return func.coalesce(query.scalar_subquery(), 0)

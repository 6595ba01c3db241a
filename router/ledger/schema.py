"""The tables of the books, as today's code sees them. They belong to the accounts' metadata.

Texts have no length in the database: PostgreSQL refuses what is too long, and a settlement that is refused
for ever would block the journal behind it. Lengths are checked where a settlement is made. Accounts are not
foreign keys, since the operator's own side of the books (`operator:…`) has no row among the customers.
"""

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
)

from router.accounts.schema import metadata

OPERATOR: Final = "operator:"
"""How the operator's accounts begin. They may go below zero: what one side gains the other has given."""

# SQLite numbers rows by itself only where the key's type is exactly INTEGER.
_ROW_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", _ROW_NUMBER, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("account", Text, nullable=False, index=True),
    Column("counter_account", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reference", Text, nullable=False),
    Column("model", Text, nullable=True),
    Column("created_at", Double, nullable=False),
    CheckConstraint("amount <> 0", name="moves_something"),
)

balances = Table(
    "balances",
    metadata,
    Column("account", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    # The last line of defence for invariant I3: not even a mistake of ours gets below zero.
    CheckConstraint(f"amount >= 0 OR account LIKE '{OPERATOR}%'", name="never_below_zero"),
)


def _token_columns() -> tuple[Column[Any], ...]:
    kinds = ("input", "cached", "cache_write", "output", "reasoning")
    return tuple(Column(f"{kind}_tokens", BigInteger, nullable=False) for kind in kinds)


settlements = Table(
    "settlements",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("provider", Text, nullable=False),
    Column("at", Double, nullable=False, index=True),
    *_token_columns(),
    Column("cost_nanodollars", BigInteger, nullable=False),
    Column("charged_nanodollars", BigInteger, nullable=False),
    Column("operator_nanodollars", BigInteger, nullable=False),
    Column("outcome", String(20), nullable=False),
    Column("estimated", Boolean, nullable=False),
)

usage_days = Table(
    "usage_days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("key_id", Text, primary_key=True, index=True),
    Column("model", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    Column("estimated", BigInteger, nullable=False),
    *_token_columns(),
    Column("cost_nanodollars", BigInteger, nullable=False),
    Column("charged_nanodollars", BigInteger, nullable=False),
    Column("operator_nanodollars", BigInteger, nullable=False),
    Column("duration_seconds", Double, nullable=False),
    Column("first_tokens", BigInteger, nullable=False),
    Column("first_token_seconds", Double, nullable=False),
)

redeem_codes = Table(
    "redeem_codes",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("amount", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=True),
    Column("redeemed_by", Text, nullable=True),
    Column("redeemed_at", Double, nullable=True),
)

journal_positions = Table(
    "journal_positions",
    metadata,
    Column("file_id", String(32), primary_key=True),
    Column("position", BigInteger, nullable=False),
)

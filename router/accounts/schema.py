"""The tables, as today's code sees them. How they came to be is told by the migrations.

`changes` exists for the watchers. Every worker asks twice a second whether anything moved, so the
question must be tiny: one counter a topic, raised in the same transaction as the change it
announces.

The same tables serve on SQLite and PostgreSQL, so only what both know is used; what each spells its own
way is in `partial_index`. Other packages add
their tables to this `metadata`, which is what lets them refer to an account.
"""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

KEYS_TOPIC: Final = "keys"
MAX_NAME_LENGTH: Final = 100

# Constraints get names by rule, for only a named one can be altered by a later migration.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _limit_columns() -> tuple[Column[Any], ...]:
    names = ("requests_per_minute", "tokens_per_minute", "concurrency")
    return tuple(Column(name, BigInteger, nullable=True) for name in names)


tiers = Table(
    "tiers",
    metadata,
    Column("name", String(MAX_NAME_LENGTH), primary_key=True),
    Column("models", JSON, nullable=False),
    *_limit_columns(),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(MAX_NAME_LENGTH), nullable=False),
    Column("tier", ForeignKey("tiers.name"), nullable=False, index=True),
    Column("prepaid", Boolean, nullable=False),
    *_limit_columns(),
    Column("created_at", Double, nullable=False),
    Column("closed_at", Double, nullable=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", String(MAX_NAME_LENGTH), nullable=False, index=True),
    Column("hint", String(32), nullable=False),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("revoked_at", Double, nullable=True),
    Column("account_id", ForeignKey("accounts.id"), nullable=False, index=True),
    *_limit_columns(),
    Column("hedge", Boolean, nullable=True),
    Column("budget_nanodollars", BigInteger, nullable=True),
    Column("expires_at", Double, nullable=True),
    Column("scopes", JSON(none_as_null=True), nullable=True),
)

changes = Table(
    "changes",
    metadata,
    Column("topic", String(32), primary_key=True),
    Column("revision", Integer, nullable=False),
)

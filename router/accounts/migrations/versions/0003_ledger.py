"""The books: entries and balances, settlements and use by day, redeem codes, positions of the journals.

Entries are append-only, and the database itself sees to it: triggers refuse to change or delete one.
A later migration that rebuilds the table on SQLite has to make its triggers again.
"""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TOKENS = ("input", "cached", "cache_write", "output", "reasoning")
_TABLES = (
    "journal_positions",
    "redeem_codes",
    "usage_days",
    "settlements",
    "balances",
    "ledger_entries",
)


def upgrade() -> None:
    """Create the tables, all empty."""
    _create_entries()
    _create_balances()
    _create_settlements()
    _create_usage()
    _create_redeem_codes()
    op.create_table(
        "journal_positions",
        sa.Column("file_id", sa.String(32), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("file_id", name=op.f("pk_journal_positions")),
    )
    for statement in _append_only(op.get_bind().dialect.name):
        op.execute(sa.text(statement))


def downgrade() -> None:
    """Drop the tables, and with them all money."""
    for table in _TABLES:
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text("DROP FUNCTION refuse_ledger_change()"))


def _create_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("counter_account", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("key", name=op.f("uq_ledger_entries_key")),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_ledger_entries_moves_something")),
    )
    op.create_index(op.f("ix_ledger_entries_account"), "ledger_entries", ["account"])


def _create_balances() -> None:
    op.create_table(
        "balances",
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_balances")),
        sa.CheckConstraint(
            "amount >= 0 OR account LIKE 'operator:%'", name=op.f("ck_balances_never_below_zero")
        ),
    )


def _create_settlements() -> None:
    op.create_table(
        "settlements",
        sa.Column("request_id", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("account_id", "key_id")),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("model", "provider")),
        sa.Column("at", sa.Double(), nullable=False),
        *_counts(*(f"{kind}_tokens" for kind in _TOKENS)),
        *_counts("cost_nanodollars", "charged_nanodollars", "operator_nanodollars"),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", name=op.f("pk_settlements")),
    )
    op.create_index(op.f("ix_settlements_at"), "settlements", ["at"])


def _create_usage() -> None:
    op.create_table(
        "usage_days",
        sa.Column("day", sa.String(10), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("account_id", "key_id", "model")),
        *_counts("requests", "errors", "estimated"),
        *_counts(*(f"{kind}_tokens" for kind in _TOKENS)),
        *_counts("cost_nanodollars", "charged_nanodollars", "operator_nanodollars"),
        sa.Column("duration_seconds", sa.Double(), nullable=False),
        *_counts("first_tokens"),
        sa.Column("first_token_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("day", "account_id", "key_id", "model", name=op.f("pk_usage_days")),
    )
    op.create_index(op.f("ix_usage_days_key_id"), "usage_days", ["key_id"])


def _create_redeem_codes() -> None:
    op.create_table(
        "redeem_codes",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("redeemed_by", sa.Text(), nullable=True),
        sa.Column("redeemed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redeem_codes")),
        sa.UniqueConstraint("digest", name=op.f("uq_redeem_codes_digest")),
    )


def _counts(*names: str) -> Iterator[sa.Column[int]]:
    return (sa.Column(name, sa.BigInteger(), nullable=False) for name in names)


def _append_only(dialect: str) -> list[str]:
    refusal = "an entry of the ledger is never changed"
    if dialect == "postgresql":
        return [
            f"""CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION '{refusal}'; END $$""",
            """CREATE TRIGGER ledger_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
            ON ledger_entries EXECUTE FUNCTION refuse_ledger_change()""",
        ]
    return [
        f"CREATE TRIGGER ledger_entries_never_{change.lower()} BEFORE {change} ON ledger_entries "
        f"BEGIN SELECT RAISE(ABORT, '{refusal}'); END"
        for change in ("UPDATE", "DELETE")
    ]

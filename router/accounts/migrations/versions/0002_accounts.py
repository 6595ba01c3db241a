"""Accounts and tiers; keys belong to an account and have terms of their own.

Everything that exists already goes to one account that is not prepaid, in one tier that has every
model and no limits: whoever upgrades notices nothing.
"""

import time
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")


def upgrade() -> None:
    """Create both tables with their first row each, and give the keys to that account."""
    _create_tiers()
    _create_accounts()
    for column in _key_columns():
        op.add_column("api_keys", column)
    op.execute(sa.text("UPDATE api_keys SET account_id = 'acc_default'"))
    with op.batch_alter_table("api_keys") as batch:
        batch.alter_column("account_id", existing_type=sa.String(16), nullable=False)
        batch.create_foreign_key(
            op.f("fk_api_keys_account_id_accounts"), "accounts", ["account_id"], ["id"]
        )
    op.create_index(op.f("ix_api_keys_account_id"), "api_keys", ["account_id"])


def downgrade() -> None:
    """Drop both tables and the keys' terms. The keys stay, and belong to nobody."""
    op.drop_index(op.f("ix_api_keys_account_id"), table_name="api_keys")
    with op.batch_alter_table("api_keys") as batch:
        batch.drop_constraint(op.f("fk_api_keys_account_id_accounts"), type_="foreignkey")
        for column in _key_columns():
            batch.drop_column(column.name)
    op.drop_index("uq_accounts_open_name", table_name="accounts")
    op.drop_index(op.f("ix_accounts_tier"), table_name="accounts")
    op.drop_table("accounts")
    op.drop_table("tiers")


def _create_tiers() -> None:
    tiers = op.create_table(
        "tiers",
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("models", sa.JSON(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _LIMITS),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tiers")),
    )
    op.bulk_insert(tiers, [{"name": "default", "models": ["*"]}])


def _create_accounts() -> None:
    accounts = op.create_table(
        "accounts",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("tier", sa.String(100), nullable=False),
        sa.Column("prepaid", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _LIMITS),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("closed_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.ForeignKeyConstraint(["tier"], ["tiers.name"], name=op.f("fk_accounts_tier_tiers")),
    )
    op.create_index(op.f("ix_accounts_tier"), "accounts", ["tier"])
    op.create_index(
        "uq_accounts_open_name",
        "accounts",
        ["name"],
        unique=True,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    first = {
        "id": "acc_default",
        "name": "default",
        "tier": "default",
        "prepaid": False,
        "created_at": time.time(),
    }
    op.bulk_insert(accounts, [first])


def _key_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("account_id", sa.String(16), nullable=True),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in _LIMITS),
        sa.Column("hedge", sa.Boolean(), nullable=True),
        sa.Column("budget_nanodollars", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("scopes", sa.JSON(), nullable=True),
    ]

"""What everybody who pays in advance has left, read in one go for the workers' memories."""

from sqlalchemy import func, select

from router.accounts.database import Database
from router.accounts.schema import accounts, api_keys
from router.ledger.schema import balances, usage_days

_BALANCES = (
    select(balances.c.account, balances.c.amount)
    .join(accounts, accounts.c.id == balances.c.account)
    .where(accounts.c.prepaid.is_(True))
)
_SPENT = (
    select(usage_days.c.key_id, func.sum(usage_days.c.cost_nanodollars))
    .join(api_keys, api_keys.c.id == usage_days.c.key_id)
    .where(api_keys.c.budget_nanodollars.is_not(None))
    .group_by(usage_days.c.key_id)
)


class CreditStore:
    """Reads credit. Blocks, and may raise a StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def credit(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the credit of prepaid accounts, and what keys with a budget have spent, at one moment."""
        with self._database.reading() as connection:
            credit = {row[0]: row[1] for row in connection.execute(_BALANCES)}
            spent = {row[0]: int(row[1]) for row in connection.execute(_SPENT)}
        return credit, spent

"""What those who pay in advance have left, read for the workers' memories, many in one go.

Only of those who are asked for: of a hundred thousand accounts a few hundred call at a time.
"""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select

from router.accounts.database import Database
from router.ledger.schema import balances, usage_days

AT_ONCE: Final = 500  # a statement of SQLite takes 999 values anywhere

_IDS: Final[BindParameter[Sequence[str]]] = bindparam("ids", expanding=True)
_BALANCES = select(balances.c.account, balances.c.amount).where(balances.c.account.in_(_IDS))
_SPENT = (
    select(usage_days.c.key_id, func.sum(usage_days.c.cost_nanodollars))
    .where(usage_days.c.key_id.in_(_IDS))
    .group_by(usage_days.c.key_id)
)


class CreditStore:
    """Reads credit. Blocks, and may raise a StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def credit(
        self, accounts: Sequence[str], keys: Sequence[str]
    ) -> tuple[dict[str, int], dict[str, int]]:
        """Return the credit of these accounts, and what these keys have spent, at one moment.

        Nothing is said of who has never been paid into, and of who has spent nothing.
        """
        if not (accounts or keys):
            with self._database.reading() as connection:
                connection.execute(select(1))
            return {}, {}
        with self._database.reading() as connection:
            return _read(connection, _BALANCES, accounts), _read(connection, _SPENT, keys)


def _read(connection: Connection, query: Select[str, int], ids: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for start in range(0, len(ids), AT_ONCE):
        rows = connection.execute(query, {"ids": ids[start : start + AT_ONCE]})
        found.update((row[0], int(row[1])) for row in rows)
    return found

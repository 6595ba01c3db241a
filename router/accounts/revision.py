"""The counter that tells every worker that something about accounts, tiers or keys has changed.

It is raised first in a change's transaction and not last. On PostgreSQL that locks the counter's
row until the commit, so changes come one after the other, as they do on SQLite, and what a change
reads stays true until it writes. A change that is refused rolls the counter back with all else.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, select, update

from router.accounts.database import Database
from router.accounts.schema import KEYS_TOPIC, changes

_REVISION = select(changes.c.revision).where(changes.c.topic == KEYS_TOPIC)
_RAISE = (
    update(changes).where(changes.c.topic == KEYS_TOPIC).values(revision=changes.c.revision + 1)
)


@contextmanager
def changing(database: Database) -> Iterator[Connection]:
    """Give a transaction for one announced change, the only one at its time. Raises StoreError."""
    with database.writing() as connection:
        connection.execute(_RAISE)
        yield connection


def revision_in(connection: Connection) -> int:
    """Return the counter as this transaction sees it."""
    revision: int = connection.execute(_REVISION).scalar_one()
    return revision

"""Brings a database to the layout that this version of the program knows, whatever it finds.

Every start calls this, so the common case, nothing to do, is one read. Otherwise the right to
migrate is taken first and the question asked again under it: of several processes that start at
once one migrates, and the others wait and find the work done. All steps are one transaction, so a
crash half way leaves the old layout, not a mixture.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from router.accounts.errors import StoreTooNew

Transaction = Callable[[], AbstractContextManager[Connection]]

# Alembic keeps the running migration in a global of its own, so two threads must not both
# be in one.
_one_at_a_time: Final = threading.Lock()


def migrate(*, reading: Transaction, migrating: Transaction) -> None:
    """Bring a database to the newest layout; blocks, also for others' migrations.

    `reading` opens a transaction, `migrating` one that keeps everybody else from migrating. Raises
    StoreTooNew when only a newer version knows the database's layout, and what the two raise.
    """
    config = migration_config()
    scripts = ScriptDirectory.from_config(config)
    newest = scripts.get_current_head()
    with reading() as connection:
        if _revision(connection) == newest:
            return
    with _one_at_a_time, migrating() as connection:
        found = _revision(connection)
        if found is not None and found not in {
            script.revision for script in scripts.walk_revisions()
        }:
            raise StoreTooNew(
                f"the database was changed by a newer version: its layout is {found!r}, "
                f"this version knows up to {newest!r}"
            )
        # Reads the revision again by itself, and does nothing where another process did it all.
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def migration_config() -> Config:
    """Return Alembic's configuration, which finds the scripts inside the installed package."""
    config = Config()
    config.set_main_option("script_location", "router.accounts:migrations")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()

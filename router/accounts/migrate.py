"""Brings a database to the layout that this version of the program knows, whatever it finds.

The right to migrate is taken first and the layout read again under it: of several processes that start
at once one migrates, and the others wait and find the work done. All steps are one transaction, so a
crash half way leaves the old layout, not a mixture.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from router.accounts.errors import StoreTooNew
from router.accounts.layout import NEWEST_LAYOUT, layout_of

Transaction = Callable[[], AbstractContextManager[Connection]]

# Alembic keeps the running migration in a global of its own, so two threads must not both
# be in one.
_one_at_a_time: Final = threading.Lock()


def migrate(migrating: Transaction) -> None:
    """Bring a database to the newest layout; blocks, also for others' migrations.

    `migrating` opens a transaction that keeps everybody else from migrating. Raises StoreTooNew when only a
    newer version knows the database's layout, and what `migrating` raises.
    """
    config = migration_config()
    scripts = ScriptDirectory.from_config(config)
    with _one_at_a_time, migrating() as connection:
        found = layout_of(connection)
        if found is not None and found not in {
            script.revision for script in scripts.walk_revisions()
        }:
            raise StoreTooNew(
                f"the database was changed by a newer version: its layout is {found!r}, "
                f"this version knows up to {NEWEST_LAYOUT!r}"
            )
        # Reads the revision again by itself, and does nothing where another process did it all.
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def migration_config() -> Config:
    """Return Alembic's configuration, which finds the scripts inside the installed package."""
    config = Config()
    config.set_main_option("script_location", "router.accounts:migrations")
    return config

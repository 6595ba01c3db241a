"""Alembic's entry point: applies the scripts over the connection it is handed.

There is no offline mode and no logging set-up: the caller owns the transaction, and the process its
logging.
"""

from alembic import context

import router.accounts.partial_index  # noqa: F401 - an index of `metadata`
from router.accounts.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters little in place; batch mode rebuilds the table instead.
    render_as_batch=True,
)
context.run_migrations()

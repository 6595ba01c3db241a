"""A database on a PostgreSQL server: shared by many machines, and sometimes away.

A server can stop, be cut off, or fail over. Every wait for it is therefore bounded: connecting, the
wait for a lock, and the silence after which the system gives a connection up. A connection is tried
before it is lent, so one that broke while it was idle is replaced without anybody noticing.

Writers of different things do not wait for each other here, as they do on SQLite. Those of one
thing lock a row that they agree on.
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.pool import QueuePool

from router.accounts.errors import (
    StoreAway,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreNotWritable,
    StoreUnsupported,
)

DRIVER: Final = "postgresql+psycopg"
LOCK_TIMEOUT: Final = 5.0
_BOUNDED: Final = "postgres_bounded"
# Any number, as long as nobody else who uses the same database takes it for another lock.
_MIGRATION_LOCK: Final = 0x53595A45

# libpq's names, at https://www.postgresql.org/docs/current/libpq-connect.html; a URL may say
# otherwise. Seconds, but for `tcp_user_timeout` in milliseconds.
_CONNECTING: Final[Mapping[str, str | int]] = {
    "application_name": "syze",
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}

# By SQLSTATE, or by its class, the first two characters:
# https://www.postgresql.org/docs/current/errcodes-appendix.html.
_MEANINGS: Final[Mapping[str, tuple[type[StoreError], str]]] = {
    "08": (StoreAway, "broke the connection off"),
    "28": (StoreAway, "does not let this user in"),
    "3D000": (StoreAway, "does not exist"),
    "53300": (StoreAway, "takes no more connections"),
    "57P01": (StoreAway, "is shutting down"),
    "57P02": (StoreAway, "has crashed"),
    "57P03": (StoreAway, "is starting or stopping"),
    "55P03": (StoreBusy, "is locked by another process"),
    "40": (StoreBusy, "could not do this beside what others were doing"),
    "57014": (StoreBusy, "took too long"),
    "25006": (StoreNotWritable, "is read-only"),
    "42501": (StoreNotWritable, "may not be used: permission denied"),
    "53100": (StoreNotWritable, "cannot grow: the disk is full"),
    "XX001": (StoreDamaged, "is damaged"),
    "XX002": (StoreDamaged, "is damaged"),
}


class PostgresServer:
    """What is particular about a database on a PostgreSQL server. Its `name` holds no password."""

    def __init__(self, url: URL) -> None:
        self._url = url.set(drivername=DRIVER)
        port = f":{url.port}" if url.port is not None else ""
        self.name = f"{url.host or 'localhost'}{port}/{url.database or ''}"

    def open_engine(self) -> Engine:
        """Return an engine for the server; no connection is made yet. Raises StoreUnsupported."""
        given = {name: value for name, value in _CONNECTING.items() if name not in self._url.query}
        try:
            engine = create_engine(
                self._url,
                connect_args=given,
                poolclass=QueuePool,
                pool_size=2,
                max_overflow=2,
                pool_timeout=LOCK_TIMEOUT,
                pool_pre_ping=True,
                # Or an error's text would quote the values of the statement, digests among them.
                hide_parameters=True,
            )
        except ImportError as error:
            raise StoreUnsupported(
                "PostgreSQL needs the extra `postgresql` of this package: "
                "pip install 'syzeai[postgresql]'"
            ) from error
        event.listen(engine, "begin", _begin)
        return engine

    def for_reading(self, engine: Engine) -> Engine:
        """Return the engine with transactions that see one moment, and change nothing."""
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def for_writing(self, engine: Engine) -> Engine:
        """Return the engine with transactions that see what others committed before each statement.

        So what is read after a lock was taken is what the lock protects. A wait for a lock is
        bounded.
        """
        return engine.execution_options(isolation_level="READ COMMITTED", **{_BOUNDED: True})

    def lock_migrations(self, connection: Connection) -> None:
        """Wait until nobody else migrates, however long that takes, and keep others waiting."""
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})

    def error_of(self, error: DBAPIError) -> StoreError:
        """Return what the server's or the driver's own error means; no value is quoted."""
        state = getattr(error.orig, "sqlstate", None)
        if state is None and (error.connection_invalidated or isinstance(error, OperationalError)):
            # The driver's own words: one line for each address it tried.
            said = "; ".join(str(error.orig).split("\n"))
            return StoreAway(f"the database {self.name} cannot be reached: {said}")
        known = _MEANINGS.get(state or "") or _MEANINGS.get((state or "")[:2])
        if known is not None:
            kind, meaning = known
            return kind(f"the database {self.name} {meaning}")
        # Only the first line of the message: the others quote rows.
        primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
        return StoreError(f"the database {self.name} failed: {primary or state or error.orig}")


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(_BOUNDED):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT:g}s'")

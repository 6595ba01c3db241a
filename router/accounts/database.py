"""The database beneath the stores, whichever system it is: transactions to read and to write.

The same statements run on SQLite and on PostgreSQL. What differs (how a connection is made, what a
transaction locks, what an error means) is said once for each, in `database_sqlite` and
`database_postgres`, and chosen here by the URL.

Everything blocks, for a few seconds at worst, and belongs in a worker thread. One database may be
used from many threads.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from sqlalchemy import Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from router.accounts.database_postgres import DRIVER, PostgresServer
from router.accounts.database_sqlite import SqliteFile
from router.accounts.errors import StoreBusy, StoreError, StoreUnsupported
from router.accounts.layout import NEWEST_LAYOUT, layout_of

_POSTGRES: Final = frozenset({"postgres", "postgresql", DRIVER})


class System(Protocol):
    """What is particular about one kind of database."""

    name: str

    def open_engine(self) -> Engine:
        """Return an engine without any connection yet. Raises StoreError."""

    def for_reading(self, engine: Engine) -> Engine:
        """Return the engine for transactions that see one moment."""

    def for_writing(self, engine: Engine) -> Engine:
        """Return the engine for transactions that change something."""

    def lock_migrations(self, connection: Connection) -> None:
        """Keep others from migrating until the end of this transaction."""

    def error_of(self, error: DBAPIError) -> StoreError:
        """Return what an error of the database means; no value of a statement is quoted."""


class Database:
    """One database, open. Close it, or use it as a context manager. `name` holds no password."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._engine = system.open_engine()
        self._for_reading = system.for_reading(self._engine)
        self._for_writing = system.for_writing(self._engine)
        self.name = system.name

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that sees the database as of one moment. Raises StoreError."""
        with self._errors(), self._for_reading.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that commits at the end of the block, and not if that raises.

        On SQLite it is the only writer. On PostgreSQL it is one of many, so whoever decides by what
        it reads locks first what it decides about. Raises StoreError.
        """
        with self._errors(), self._for_writing.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def migrating(self) -> Iterator[Connection]:
        """Give a transaction that may change the layout, with nobody else in one. StoreError."""
        with self._errors(), self._for_writing.begin() as connection:
            self._system.lock_migrations(connection)
            yield connection

    def close(self) -> None:
        """Close every connection; calling it again does no harm."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Translate whatever the database raises in the block into a StoreError naming it."""
        try:
            yield
        except DBAPIError as error:
            raise self._system.error_of(error) from error
        except PoolExhausted as error:
            raise StoreBusy(f"every connection to the database {self.name} is in use") from error
        except SQLAlchemyError as error:
            raise StoreError(f"the database {self.name} failed: {error}") from error


def open_database(location: str | Path) -> Database:
    """Open the database, creating and migrating it as needed; safe for many processes at once.

    `location` is a path, `sqlite:///PATH`, or `postgresql://USER:PASSWORD@HOST/NAME`, whose database
    has to exist. Raises StoreError.
    """
    database = Database(_system_at(location))
    try:
        _bring_up_to_date(database)
    except BaseException:
        database.close()
        raise
    return database


def _bring_up_to_date(database: Database) -> None:
    with database.reading() as connection:
        if layout_of(connection) == NEWEST_LAYOUT:
            return
    # Alembic is large, and hardly any start has something to migrate.
    from router.accounts.migrate import migrate  # noqa: PLC0415

    migrate(database.migrating)


def _system_at(location: str | Path) -> System:
    """Return the system that a URL or a plain path names. Raises StoreUnsupported."""
    if isinstance(location, str) and "://" in location:
        try:
            url = make_url(location)
        except (ArgumentError, ValueError):
            raise StoreUnsupported("the database URL cannot be understood") from None
        if url.drivername in _POSTGRES:
            return PostgresServer(url)
        if url.drivername != "sqlite":
            raise StoreUnsupported(
                f"no support for {url.drivername} databases, only postgresql:// and sqlite:///PATH"
            )
        if not url.database or url.query or url.host:
            raise StoreUnsupported(
                "an SQLite URL must have the form sqlite:///PATH, without options"
            )
        location = url.database
    if str(location) == ":memory:":
        raise StoreUnsupported("a database in memory cannot be shared; give a path")
    return SqliteFile(Path(location))

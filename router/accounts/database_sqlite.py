"""A database in one SQLite file: born private, opened carefully, its failures given our names.

Three settings carry the design. Write-ahead logging lets the watchers read while a command writes.
A busy timeout turns a collision of two writers into a short wait. And transactions are begun by
us, not by the driver, which would start them late and so let a reader see two different moments.
"""

import functools
import os
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from router.accounts.errors import StoreBusy, StoreDamaged, StoreError, StoreNotWritable

BUSY_TIMEOUT: Final = 5.0
_WAL_PAUSE: Final = 0.02
_BEGIN: Final = "sqlite_begin"

# Primary result codes, as in https://www.sqlite.org/rescode.html, that tell an operator something.
_MEANINGS: Final[dict[int, tuple[type[StoreError], str]]] = {
    sqlite3.SQLITE_BUSY: (StoreBusy, "is locked by another process"),
    sqlite3.SQLITE_LOCKED: (StoreBusy, "is locked by another process"),
    sqlite3.SQLITE_PERM: (StoreNotWritable, "may not be opened: permission denied"),
    sqlite3.SQLITE_READONLY: (StoreNotWritable, "is read-only"),
    sqlite3.SQLITE_CANTOPEN: (StoreNotWritable, "cannot be opened"),
    sqlite3.SQLITE_FULL: (StoreNotWritable, "cannot grow: the disk is full"),
    sqlite3.SQLITE_CORRUPT: (StoreDamaged, "is damaged"),
    sqlite3.SQLITE_NOTADB: (StoreDamaged, "is not an SQLite database"),
}


class SqliteFile:
    """What is particular about a database in the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().absolute()
        self.name = str(self._path)

    def open_engine(self) -> Engine:
        """Return an engine on the file, made first if missing (mode 0600, new directories 0700).

        A file that exists keeps its mode: whoever widened it had a reason. SQLite gives its side
        files the mode of the main one. No connection is made yet. Raises StoreNotWritable.
        """
        path = self._path
        try:
            _create_directories(path.parent)
            if not path.exists():
                _create_private(path)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StoreNotWritable(f"cannot create {path}: {reason}") from error
        engine = create_engine(
            "sqlite://",
            creator=functools.partial(_connect, path),
            poolclass=QueuePool,
            pool_size=2,
            max_overflow=2,
            pool_timeout=BUSY_TIMEOUT,
            # Or an error's text would quote the values of the statement, digests among them.
            hide_parameters=True,
        )
        event.listen(engine, "begin", _begin)
        return engine

    def for_reading(self, engine: Engine) -> Engine:
        """Return the engine as it is: a transaction sees the file as of its first read."""
        return engine

    def for_writing(self, engine: Engine) -> Engine:
        """Return the engine with transactions that take the file's write lock at once.

        A transaction that reads first and asks for the lock later can find that another writer came
        between; SQLite then fails it without waiting.
        """
        return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})

    def lock_migrations(self, connection: Connection) -> None:
        """Do nothing: whoever writes at all keeps everybody else from writing."""

    def error_of(self, error: DBAPIError) -> StoreError:
        """Return what the database's own error means."""
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        kind, meaning = _MEANINGS.get(code, (StoreError, f"failed: {error.orig}"))
        return kind(f"the database {self.name} {meaning}")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        # mode=rw: a file deleted later is an error, not a new empty database open to everybody.
        f"{path.as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        _use_write_ahead_log(connection)
        connection.execute("PRAGMA foreign_keys = ON").close()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Switch the file to write-ahead logging; nothing happens where that was done before.

    Two connections that switch a new file at the same moment stand in each other's way, and SQLite
    then refuses one at once, without the busy timeout. So the waiting is done here.
    """
    give_up = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").close()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(_WAL_PAUSE)
        else:
            return


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN"))


def _create_directories(directory: Path) -> None:
    # Path.mkdir gives its mode to the last directory only, and the default to the parents it makes.
    for step in [*reversed(directory.parents), directory]:
        step.mkdir(mode=0o700, exist_ok=True)


def _create_private(path: Path) -> None:
    """Put an empty file of mode 0600 at `path`, unless another process has just done so.

    It is made under another name and linked into place. Opening and closing the database's own file
    here would drop the locks that SQLite holds on it elsewhere in this process, as POSIX has it.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    try:
        os.link(temporary, path)
    except FileExistsError:
        return
    finally:
        Path(temporary).unlink()

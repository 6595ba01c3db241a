"""The SQLite file beneath the store: born private, opened carefully, its failures given our names.

Three settings carry the design. Write-ahead logging lets the watchers read while a command writes.
A busy timeout turns a collision of two writers into a short wait. And transactions are begun by
us, not by the driver, which would start them late and so let a reader see two different moments.
"""

import contextlib
import functools
import os
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from router.accounts.errors import (
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreNotWritable,
    StoreUnsupported,
)

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


def database_path(url_or_path: str | Path) -> Path:
    """Return the absolute path that an `sqlite:///` URL or a plain path names.

    Raises:
        StoreUnsupported: another database system, a database in memory, or a URL with options.
    """
    if isinstance(url_or_path, str) and "://" in url_or_path:
        try:
            url = make_url(url_or_path)
        except ArgumentError:
            raise StoreUnsupported("the database URL cannot be understood") from None
        if url.drivername != "sqlite":
            raise StoreUnsupported(
                f"no support for {url.drivername} databases, only sqlite:///PATH"
            )
        if not url.database or url.query or url.host:
            raise StoreUnsupported(
                "an SQLite URL must have the form sqlite:///PATH, without options"
            )
        url_or_path = url.database
    if str(url_or_path) == ":memory:":
        raise StoreUnsupported("a database in memory cannot be shared; give a path")
    return Path(url_or_path).expanduser().absolute()


def open_engine(path: Path) -> Engine:
    """Return an engine on the file, made first if missing (mode 0600, new directories 0700).

    A file that exists keeps its mode: whoever widened it had a reason. SQLite gives its side files
    the mode of the main one. No connection is made yet. Raises StoreNotWritable.
    """
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
        # Or an error's text would quote the values of the statement, digests among them.
        hide_parameters=True,
    )
    event.listen(engine, "begin", _begin)
    return engine


def writing(engine: Engine) -> Engine:
    """Return the engine with transactions that take the write lock at once.

    A transaction that reads first and asks for the lock later can find that another writer came
    between; SQLite then fails it without waiting.
    """
    return engine.execution_options(**{_BEGIN: "BEGIN IMMEDIATE"})


@contextlib.contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Translate whatever the database raises in the block into a StoreError naming the file."""
    try:
        yield
    except DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        kind, meaning = _MEANINGS.get(code, (StoreError, f"failed: {error.orig}"))
        raise kind(f"the database {path} {meaning}") from error
    except SQLAlchemyError as error:
        raise StoreError(f"the database {path} failed: {error}") from error


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

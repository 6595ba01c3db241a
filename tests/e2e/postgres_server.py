"""A real PostgreSQL server, started for the tests in a folder of its own and gone with them.

It listens on a free port of the loopback interface and asks for a password, as a real one does. A test can
stop it and start it again, on the same port, to see what becomes of those who use it. Where PostgreSQL is
not installed, the tests that need it are skipped; on a build machine (`CI` is set) that fails them.

PostgreSQL refuses to run as root, so under root it runs as `postgres` or `nobody`.
"""

import contextlib
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.e2e.process import wait_until

USER = "syze"
PASSWORD = "hunter2-of-the-database"
# What is on this disk is of no use after the tests, and a killed server loses nothing without a power cut.
SETTINGS = ("fsync=off", "full_page_writes=off", "unix_socket_directories=", "max_connections=60")


class PostgresServer:
    """One cluster in `folder`. `start` and `stop` can be repeated; the databases stay."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._data = folder / "data"
        self._log = folder / "log.txt"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self.port = _free_port()
        self._initialise(folder)

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._process is not None

    def url(self, database: str = "postgres") -> str:
        """The address of a database, password and all."""
        return f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Make an empty database; return its address."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def new_schema(self) -> str:
        """Make an empty schema, which is as good as a database and far cheaper; return its address."""
        name = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {name}")
        return f"{self.url()}?options=-csearch_path%3D{name}"

    def execute(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement outside of any transaction; return the rows it gave."""
        with psycopg.connect(url or self.url(), autocommit=True) as connection:
            done = connection.execute(statement.encode())
            return done.fetchall() if done.description else []

    def start(self) -> None:
        """Start it and wait until it answers."""
        settings = [word for setting in SETTINGS for word in ("-c", setting)]
        address = ["-c", "listen_addresses=127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, *address, *settings],
                stdout=log,
                stderr=log,
                **_who(),
            )
        wait_until("PostgreSQL answers", self._answers)

    def stop(self, *, kill: bool = False) -> None:
        """Stop it, breaking off every connection; with `kill` as a crash would. Wait for the end."""
        if self._process is None:
            return
        # SIGINT is its fast shutdown, SIGQUIT ends it without any goodbye; both end its children too.
        self._process.send_signal(signal.SIGQUIT if kill else signal.SIGINT)
        self._process.wait(30)
        self._process = None

    def _answers(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise AssertionError(f"PostgreSQL ended:\n{self._log.read_text()}")
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _initialise(self, folder: Path) -> None:
        secret = folder / "password.txt"
        secret.write_text(PASSWORD)
        done = subprocess.run(
            [
                *(self._programs / "initdb", "--pgdata", self._data, "--username", USER),
                *("--pwfile", secret, "--auth", "scram-sha-256", "--encoding", "UTF8"),
                *("--locale", "C", "--no-sync"),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **_who(),
        )
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def running_postgres(programs: Path) -> Iterator[PostgresServer]:
    """Run a server of these programs for the length of the block."""
    # Not one of pytest's folders: those are closed to every user but ours.
    folder = Path(tempfile.mkdtemp(prefix="syze-postgres-"))
    try:
        if os.geteuid() == 0:
            os.chown(folder, _who()["user"], _who()["group"])
        server = PostgresServer(programs, folder)
        server.start()
        try:
            yield server
        finally:
            server.stop(kill=True)  # nobody wants what it would still write
    finally:
        shutil.rmtree(folder)


def postgres_programs() -> Path | None:
    """The folder of PostgreSQL's own programs, of the newest version; `None` if there is none."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = sorted(installed, key=lambda path: float(path.parent.parent.name))
    found = newest[-1] if newest else shutil.which("initdb")
    programs = Path(found).resolve().parent if found else None
    return programs if programs and (programs / "postgres").exists() else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for all tests. Whoever stops it starts it again."""
    programs = postgres_programs()
    if programs is None:
        absent = "PostgreSQL is not installed (no initdb): nothing is known of that store"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(absent)
    with running_postgres(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The address of a place without any tables."""
    return postgres_server.new_schema()


def _who() -> dict[str, Any]:
    """The arguments that let a process of ours run as somebody who is not root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": [], "cwd": "/"}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])

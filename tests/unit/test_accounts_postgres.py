"""PostgreSQL beneath the stores: what becomes of them when it is away, slow, or somebody else's."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from router.accounts import database_postgres
from router.accounts.account_store import AccountStore
from router.accounts.database import open_database
from router.accounts.errors import (
    StoreAway,
    StoreBusy,
    StoreError,
    StoreNotWritable,
    StoreUnsupported,
)
from router.accounts.keys import generate_key
from router.accounts.store import KeyStore
from tests.e2e.postgres_server import PASSWORD, PostgresServer
from tests.e2e.process import wait_until


@pytest.fixture
def store(postgres_url: str) -> Iterator[KeyStore]:
    with KeyStore.open(postgres_url) as opened:
        yield opened


@pytest.fixture
def server(postgres_server: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which is running again after the test."""
    yield postgres_server
    if not postgres_server.running:
        postgres_server.start()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_form_of_its_url_is_understood(postgres_url: str, scheme: str) -> None:
    url = postgres_url.replace("postgresql", scheme, 1)
    with KeyStore.open(url) as store:
        assert store.revision() == 0


def test_a_server_that_does_not_answer_is_away_and_named_without_its_password(
    server: PostgresServer,
) -> None:
    server.stop()
    with pytest.raises(
        StoreAway, match=rf"127\.0\.0\.1:{server.port}/postgres cannot be"
    ) as caught:
        KeyStore.open(server.url())
    assert PASSWORD not in f"{caught.value} {caught.value.__cause__}"
    assert "\n" not in str(caught.value)


def test_a_server_that_lets_nobody_in_is_away(server: PostgresServer) -> None:
    wrong = server.url().replace(PASSWORD, "wr0ng-password")
    with pytest.raises(StoreAway, match="authentication failed") as caught:
        KeyStore.open(wrong)
    assert "wr0ng-password" not in str(caught.value)
    with pytest.raises(StoreAway, match="does not exist"):
        KeyStore.open(server.url("nowhere"))


@pytest.mark.parametrize("kill", [False, True])
def test_a_store_survives_a_server_that_goes_and_comes_back(
    server: PostgresServer, store: KeyStore, kill: bool
) -> None:
    key, _ = store.create("laptop")
    server.stop(kill=kill)
    for _ in range(2):
        with pytest.raises(StoreAway):
            store.revision()
    server.start()
    assert store.list_keys() == [key]
    assert store.create("other")[0] in store.list_keys()


def test_a_restart_that_nobody_saw_breaks_nothing(server: PostgresServer, store: KeyStore) -> None:
    store.create("laptop")
    server.stop()
    server.start()
    assert store.revision() == 1


def test_a_connection_lost_in_a_transaction_undoes_it(
    server: PostgresServer, store: KeyStore
) -> None:
    def change_and_be_cut_off() -> None:
        with store.database.writing() as connection:
            connection.exec_driver_sql("UPDATE changes SET revision = 1000")
            [(process,)] = connection.exec_driver_sql("SELECT pg_backend_pid()").all()
            server.execute(f"SELECT pg_terminate_backend({process})")
            connection.exec_driver_sql("UPDATE changes SET revision = 2000")

    with pytest.raises(StoreAway):
        change_and_be_cut_off()
    assert store.revision() == 0


def test_a_reading_transaction_sees_one_moment_and_writes_nothing(store: KeyStore) -> None:
    count = text("SELECT count(*) FROM api_keys")
    with store.database.reading() as connection:
        assert connection.execute(count).scalar_one() == 0
        store.create("laptop")
        assert connection.execute(count).scalar_one() == 0
    with pytest.raises(StoreNotWritable), store.database.reading() as connection:
        connection.execute(text("DELETE FROM api_keys"))
    assert len(store.list_keys()) == 1


def test_a_lock_is_waited_for_within_a_bound(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_postgres, "LOCK_TIMEOUT", 0.1)
    with KeyStore.open(postgres_url) as store, psycopg.connect(postgres_url) as holder:
        holder.execute("UPDATE changes SET revision = revision")
        with pytest.raises(StoreBusy, match="locked by another process"):
            store.create("laptop")
        holder.rollback()
        store.create("laptop")


def test_writers_of_other_things_do_not_wait_for_each_other(store: KeyStore) -> None:
    with store.database.writing() as connection:
        connection.execute(text("SELECT 1"))
        AccountStore(store.database).create("meanwhile")


def test_connections_are_few_and_waited_for_within_a_bound(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_postgres, "LOCK_TIMEOUT", 0.05)
    with KeyStore.open(postgres_url) as store, ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(store.database.reading())
        with pytest.raises(StoreBusy, match="every connection"):
            store.revision()
        stack.close()
        assert store.revision() == 0


def test_one_process_migrates_and_the_others_wait_for_it(postgres_url: str) -> None:
    lock = database_postgres._MIGRATION_LOCK
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    done = threading.Event()

    def open_it() -> None:
        KeyStore.open(postgres_url).close()
        done.set()

    with psycopg.connect(postgres_url, autocommit=True) as holder, ThreadPoolExecutor(1) as pool:
        holder.execute("SELECT pg_advisory_lock(%s)", [lock])
        opening = pool.submit(open_it)

        def somebody_waits() -> bool:
            [count] = holder.execute(waiting).fetchone() or (0,)
            return bool(count)

        wait_until("the migration waits for the lock", somebody_waits)
        assert not done.is_set()
        assert holder.execute("SELECT to_regclass('changes')").fetchone() == (None,)
        holder.execute("SELECT pg_advisory_unlock(%s)", [lock])
        opening.result(30)
    with KeyStore.open(postgres_url) as store:
        assert store.revision() == 0


def test_a_migration_that_fails_leaves_nothing_behind(
    server: PostgresServer, postgres_url: str
) -> None:
    server.execute("CREATE TABLE changes (mine TEXT)", postgres_url)
    with pytest.raises(StoreError, match="already exists"):
        KeyStore.open(postgres_url)
    tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
    assert server.execute(tables, postgres_url) == [("changes",)]


def test_i12_a_database_error_quotes_no_secret(
    server: PostgresServer, postgres_url: str, store: KeyStore
) -> None:
    secret = generate_key()
    server.execute("ALTER TABLE api_keys DROP COLUMN hint", postgres_url)
    with pytest.raises(StoreError, match="hint") as caught:
        store.revoke(secret)
    cause = caught.value.__cause__
    assert isinstance(cause, DBAPIError)
    assert secret not in f"{caught.value} {cause}"


def test_a_row_that_breaks_a_rule_is_not_quoted(store: KeyStore) -> None:
    insert = "INSERT INTO tiers (name, models) VALUES ('default', '[\"of-nobody\"]')"
    with (
        pytest.raises(StoreError, match="duplicate key") as caught,
        store.database.writing() as connection,
    ):
        connection.exec_driver_sql(insert)
    assert "of-nobody" not in str(caught.value)
    assert "(name)" not in str(caught.value)


def test_without_its_driver_the_way_to_get_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StoreUnsupported, match=r"syzeai\[postgresql\]"):
        open_database("postgresql://syze@127.0.0.1/syze")


def test_what_the_url_says_of_the_connection_goes_before_our_own(postgres_url: str) -> None:
    for url, name in ((postgres_url, "syze"), (f"{postgres_url}&application_name=mine", "mine")):
        with open_database(url) as database, database.reading() as connection:
            found = connection.exec_driver_sql("SHOW application_name").scalar_one()
            assert found == name

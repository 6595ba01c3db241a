"""The keys' database: what it keeps, whom it refuses, and how it comes into being."""

import itertools
import logging
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

import router
from router.accounts.database import open_engine, store_errors, writing
from router.accounts.errors import (
    AlreadyRevoked,
    AmbiguousKey,
    InvalidKeyName,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreNotWritable,
    StoreTooNew,
    StoreUnsupported,
    UnknownKey,
)
from router.accounts.keyring import KeyRing
from router.accounts.keys import generate_key, hash_key, key_hint, looks_like_key
from router.accounts.migrate import migration_config
from router.accounts.schema import metadata
from router.accounts.store import KeyStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "share" / "syze" / "keys.db"


@pytest.fixture
def store(path: Path) -> Iterator[KeyStore]:
    ticks = itertools.count(1000.0)
    with KeyStore.open(path, wall_clock=lambda: next(ticks)) as opened:
        yield opened


# Keys


def test_a_created_key_is_listed_with_everything_but_its_secret(store: KeyStore) -> None:
    key, secret = store.create("laptop")
    assert looks_like_key(secret)
    assert (key.name, key.hint, key.digest) == ("laptop", key_hint(secret), hash_key(secret))
    assert (key.created_at, key.revoked_at) == (1000.0, None)
    assert store.list_keys() == [key]


def test_keys_are_listed_oldest_first(store: KeyStore) -> None:
    created = [store.create(name)[0] for name in ("zoe", "adam", "zoe")]
    assert store.list_keys() == created


def test_a_revoked_key_is_listed_only_on_request(store: KeyStore) -> None:
    kept, _ = store.create("kept")
    dropped, _ = store.create("dropped")
    revoked = store.revoke(dropped.id)
    assert revoked.revoked_at == 1002.0
    assert store.list_keys() == [kept]
    assert store.list_keys(include_revoked=True) == [kept, revoked]


@pytest.mark.parametrize("way", ["id", "name", "hint", "secret"])
def test_a_key_is_revoked_by_any_of_its_names(store: KeyStore, way: str) -> None:
    other, _ = store.create("server")
    key, secret = store.create("laptop")
    selector = {"id": key.id, "name": key.name, "hint": key.hint, "secret": secret}[way]
    assert store.revoke(selector).id == key.id
    assert store.list_keys() == [other]


def test_a_name_shared_by_active_keys_revokes_none_of_them(store: KeyStore) -> None:
    first, _ = store.create("laptop")
    second, _ = store.create("laptop")
    with pytest.raises(AmbiguousKey) as caught:
        store.revoke("laptop")
    assert caught.value.keys == (first, second)
    assert first.id in str(caught.value)
    assert second.id in str(caught.value)
    assert store.list_keys() == [first, second]


def test_a_name_is_not_ambiguous_once_its_other_keys_are_revoked(store: KeyStore) -> None:
    first, _ = store.create("laptop")
    second, _ = store.create("laptop")
    store.revoke(first.id)
    assert store.revoke("laptop").id == second.id


def test_an_id_goes_before_a_name_that_imitates_it(store: KeyStore) -> None:
    key, _ = store.create("laptop")
    imitation, _ = store.create(key.id)
    assert store.revoke(key.id).id == key.id
    assert store.list_keys() == [imitation]


def test_revoking_twice_says_so_and_keeps_the_first_time(store: KeyStore) -> None:
    key, _ = store.create("laptop")
    revoked = store.revoke(key.id)
    with pytest.raises(AlreadyRevoked, match=f"already revoked: {key.id}") as caught:
        store.revoke("laptop")
    assert caught.value.keys == (revoked,)
    assert store.list_keys(include_revoked=True) == [revoked]


@pytest.mark.parametrize("selector", ["", "nobody", "key_000000000000", "a\nb", "\udcff", "%", "_"])
def test_an_unknown_selector_revokes_nothing(store: KeyStore, selector: str) -> None:
    key, _ = store.create("laptop")
    before = store.revision()
    with pytest.raises(UnknownKey):
        store.revoke(selector)
    assert store.load() == (before, [key])


def test_i12_a_refusal_to_revoke_does_not_repeat_the_secret(store: KeyStore) -> None:
    unknown = generate_key()
    for text in (unknown, unknown[:-2], f" {unknown}"):
        with pytest.raises(UnknownKey) as caught:
            store.revoke(text)
        assert unknown[12:-4] not in str(caught.value)


def test_all_keys_of_a_name_are_revoked_together(store: KeyStore) -> None:
    named = [store.create("laptop")[0].id for _ in range(3)]
    other, _ = store.create("server")
    assert [key.id for key in store.revoke_all_named("laptop")] == named
    assert store.list_keys() == [other]
    with pytest.raises(UnknownKey, match="'laptop'"):
        store.revoke_all_named("laptop")


@pytest.mark.parametrize("name", ["", "  ", "a" * 101, "two\nlines", "\x1b[31m", "\udcff"])
def test_a_name_that_cannot_be_shown_is_refused(store: KeyStore, name: str) -> None:
    with pytest.raises(InvalidKeyName):
        store.create(name)
    assert store.load() == (0, [])


def test_i12_a_secret_is_refused_as_a_name(store: KeyStore) -> None:
    secret = generate_key()
    with pytest.raises(InvalidKeyName) as caught:
        store.create(f"mine {secret}")
    assert secret[8:] not in str(caught.value)


def test_a_name_may_use_any_script(store: KeyStore) -> None:
    key, _ = store.create("Zoë's 笔记本 🔑")
    assert store.revoke("Zoë's 笔记本 🔑").id == key.id


def test_i12_keys_are_hashed_at_rest(store: KeyStore, path: Path) -> None:
    secrets = [store.create(f"key {number}")[1] for number in range(20)]
    store.revoke(secrets[3])
    while_open = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert path.with_name("keys.db-wal").exists()
    store.close()
    at_rest = path.read_bytes()
    for secret in secrets:
        hidden = secret[12:-4].encode()
        assert hidden not in while_open
        assert hidden not in at_rest
        # The digest is there, so these are the files to look at.
        assert hash_key(secret) in while_open
        assert hash_key(secret) in at_rest


# Revisions


def test_every_change_moves_the_revision_and_reading_does_not(store: KeyStore) -> None:
    seen = [store.revision()]
    store.create("a")
    seen.append(store.revision())
    store.create("a")
    seen.append(store.revision())
    store.revoke_all_named("a")
    seen.append(store.revision())
    store.list_keys(include_revoked=True)
    store.load()
    assert store.revision() == seen[-1]
    assert len(set(seen)) == len(seen)


def test_load_gives_the_active_keys_and_their_revision(store: KeyStore) -> None:
    key, _ = store.create("kept")
    store.revoke(store.create("dropped")[0].id)
    assert store.load() == (store.revision(), [key])


def test_two_stores_on_one_file_see_each_others_changes(store: KeyStore, path: Path) -> None:
    with KeyStore.open(f"sqlite:///{path}") as other:
        key, secret = other.create("laptop")
        assert store.load() == (1, [key])
        store.revoke(secret)
        assert other.load() == (2, [])


def test_a_key_revoked_by_another_process_is_gone_here(store: KeyStore, path: Path) -> None:
    key, secret = store.create("laptop")
    ring = KeyRing(store.load()[1])
    assert ring.authenticate(secret) == key
    program = (
        "import sys; from router.accounts.store import KeyStore\n"
        "with KeyStore.open(sys.argv[1]) as store: store.revoke(sys.argv[2])"
    )
    root = Path(router.__file__).parent.parent
    subprocess.run(
        [sys.executable, "-c", program, str(path), key.id],
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    revision, keys = store.load()
    ring.replace(keys)
    assert revision == 2
    assert ring.authenticate(secret) is None


# The file


def test_the_file_and_its_new_directories_are_private(store: KeyStore, path: Path) -> None:
    store.create("laptop")
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"keys.db": 0o600, "keys.db-wal": 0o600, "keys.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.parent.stat().st_mode) == 0o700


def test_an_existing_file_keeps_the_mode_its_owner_gave_it(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch()
    path.chmod(0o640)
    with KeyStore.open(path) as store:
        store.create("laptop")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_closed_store_leaves_the_database_file_alone_in_its_directory(
    store: KeyStore, path: Path
) -> None:
    store.create("laptop")
    store.close()
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["keys.db"]


@pytest.mark.parametrize("name", ["a b.db", "ke%79s.db", "what?.db", "#1.db", "schlüssel.db"])
def test_any_file_name_is_taken_literally(tmp_path: Path, name: str) -> None:
    with KeyStore.open(tmp_path / name):
        assert (tmp_path / name).is_file()


def test_a_path_in_the_home_directory_is_expanded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with KeyStore.open("~/keys.db"):
        assert (tmp_path / "keys.db").is_file()


@pytest.mark.parametrize(
    "url",
    [
        ":memory:",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///keys.db?mode=memory",
        "postgresql://user:hunter2@db/syze",
        "mysql+pymysql://db/syze",
        "://",
    ],
)
def test_other_databases_are_refused_without_their_password(url: str) -> None:
    with pytest.raises(StoreUnsupported) as caught:
        KeyStore.open(url)
    assert "hunter2" not in str(caught.value)


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreNotWritable, match=r"file/keys\.db"):
        KeyStore.open(tmp_path / "file" / "keys.db")
    with pytest.raises(StoreNotWritable, match=str(tmp_path)):
        KeyStore.open(tmp_path)


def test_a_file_that_is_no_database_is_named_and_left_as_it_was(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("my notes, and quite a lot of them " * 50)
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match=r"keys\.db is not an SQLite database"):
        KeyStore.open(path)
    assert path.read_bytes() == before


def test_a_database_deleted_meanwhile_is_an_error_and_not_an_empty_one(
    store: KeyStore, path: Path
) -> None:
    store.create("laptop")
    store.close()
    path.unlink()
    with pytest.raises(StoreNotWritable):
        store.load()
    assert not path.exists()


def test_a_database_that_stays_locked_is_called_busy(store: KeyStore, path: Path) -> None:
    impatient = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy), store_errors(path), impatient.begin() as connection:
            connection.exec_driver_sql("DELETE FROM api_keys")
    impatient.dispose()


def test_a_writing_transaction_keeps_other_writers_out_from_its_start(path: Path) -> None:
    engine = open_engine(path)
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as rival:
        with engine.begin():
            rival.execute("BEGIN IMMEDIATE")
            rival.execute("ROLLBACK")
        with (
            writing(engine).begin(),
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            rival.execute("BEGIN IMMEDIATE")
    engine.dispose()


@pytest.mark.parametrize("before", ["", " "])
def test_i12_a_database_error_quotes_no_secret(store: KeyStore, path: Path, before: str) -> None:
    secret = generate_key()
    with closing(sqlite3.connect(path, isolation_level=None)) as vandal:
        vandal.execute("ALTER TABLE api_keys DROP COLUMN hint")
    with pytest.raises(StoreError, match="no such column") as caught:
        store.revoke(before + secret)
    cause = caught.value.__cause__
    assert isinstance(cause, DBAPIError)
    assert secret not in f"{caught.value} {cause}"


# Migrations


def test_opening_again_changes_nothing(store: KeyStore, path: Path) -> None:
    store.create("laptop")
    before = store.load()
    store.close()
    content = path.read_bytes()
    with KeyStore.open(path) as again:
        assert again.load() == before
    assert path.read_bytes() == content


def test_the_migrations_build_the_tables_the_code_expects(store: KeyStore, path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_every_migration_can_be_undone_and_done_again(store: KeyStore, path: Path) -> None:
    config = migration_config()
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with closing(sqlite3.connect(path)) as bare:
        tables = bare.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("alembic_version",)]
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()
    assert store.load() == (0, [])


def test_a_migration_that_fails_leaves_nothing_behind(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE changes (mine TEXT)")
    with pytest.raises(StoreError, match="changes already exists"):
        KeyStore.open(path)
    with closing(sqlite3.connect(path)) as after:
        tables = after.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("changes",)]


def test_a_database_from_a_newer_version_is_refused_untouched(store: KeyStore, path: Path) -> None:
    store.close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=r"'9999'.*'0001'"):
        KeyStore.open(path)
    assert path.read_bytes() == before


def test_opening_at_once_from_many_threads_migrates_once(path: Path) -> None:
    start = threading.Barrier(8)

    def open_and_create(number: int) -> None:
        start.wait()
        with KeyStore.open(path) as store:
            store.create(f"key {number}")

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(open_and_create, number) for number in range(8)]:
            done.result()
    with KeyStore.open(path) as store:
        assert store.revision() == 8
        assert {key.name for key in store.list_keys()} == {f"key {n}" for n in range(8)}
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]


def test_different_databases_can_be_made_at_once(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def open_and_count(number: int) -> int:
        start.wait()
        with KeyStore.open(tmp_path / f"{number}.db") as store:
            store.create("laptop")
            return store.revision()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(open_and_count, range(4))) == [1, 1, 1, 1]


def test_migrating_leaves_the_process_logging_alone(path: Path) -> None:
    root = logging.getLogger()
    mine = logging.getLogger("somebody.else")
    before = (root.level, list(root.handlers), logging.getLogger("alembic").handlers)
    with KeyStore.open(path):
        assert (root.level, list(root.handlers), logging.getLogger("alembic").handlers) == before
        assert not mine.disabled

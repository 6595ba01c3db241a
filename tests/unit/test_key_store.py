"""The keys' database: what it keeps, whom it refuses, and how it comes into being.

What the keys do they do on every kind of database; what is particular about a file is asked of a file.
"""

import itertools
import logging
import math
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
from alembic.script import ScriptDirectory
from msgspec.structs import asdict, replace
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import DBAPIError

import router
import router.accounts.partial_index
import router.ledger.schema
from limiter.demand import Limits
from router.accounts.account_store import AccountStore
from router.accounts.database import Database, open_database
from router.accounts.database_sqlite import SqliteFile
from router.accounts.errors import (
    AccountClosed,
    AlreadyRevoked,
    AmbiguousKey,
    InvalidKeyName,
    InvalidTerms,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreNotWritable,
    StoreTooNew,
    StoreUnsupported,
    UnknownAccount,
    UnknownKey,
)
from router.accounts.keyring import KeyRing
from router.accounts.keys import (
    ApiKey,
    KeyTerms,
    generate_key,
    hash_key,
    key_hint,
    looks_like_key,
)
from router.accounts.layout import NEWEST_LAYOUT
from router.accounts.migrate import migration_config
from router.accounts.schema import metadata
from router.accounts.store import KeyStore
from router.accounts.tier import EMBEDDED_TIER

NEWEST = ScriptDirectory.from_config(migration_config()).get_current_head()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "share" / "syze" / "keys.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def location(request: pytest.FixtureRequest) -> str:
    """Where an empty database of each kind is."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("path"))
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def store(location: str) -> Iterator[KeyStore]:
    ticks = itertools.count(1000.0)
    with KeyStore.open(location, wall_clock=lambda: next(ticks)) as opened:
        yield opened


@pytest.fixture
def file_store(path: Path) -> Iterator[KeyStore]:
    ticks = itertools.count(1000.0)
    with KeyStore.open(path, wall_clock=lambda: next(ticks)) as opened:
        yield opened


def loaded(store: KeyStore) -> tuple[int, list[ApiKey]]:
    revision, snapshot = store.load()
    return revision, [caller.key for caller in snapshot.callers]


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
    assert loaded(store) == (before, [key])


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
def test_a_name_that_cannot_be_shown_is_refused(file_store: KeyStore, name: str) -> None:
    with pytest.raises(InvalidKeyName):
        file_store.create(name)
    assert loaded(file_store) == (0, [])


def test_i12_a_secret_is_refused_as_a_name(store: KeyStore) -> None:
    secret = generate_key()
    with pytest.raises(InvalidKeyName) as caught:
        store.create(f"mine {secret}")
    assert secret[8:] not in str(caught.value)


def test_a_name_may_use_any_script(store: KeyStore) -> None:
    key, _ = store.create("Zoë's 笔记本 🔑")
    assert store.revoke("Zoë's 笔记本 🔑").id == key.id


def test_i12_keys_are_hashed_at_rest(file_store: KeyStore, path: Path) -> None:
    secrets = [file_store.create(f"key {number}")[1] for number in range(20)]
    file_store.revoke(secrets[3])
    while_open = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert path.with_name("keys.db-wal").exists()
    file_store.close()
    at_rest = path.read_bytes()
    for secret in secrets:
        hidden = secret[12:-4].encode()
        assert hidden not in while_open
        assert hidden not in at_rest
        # The digest is there, so these are the files to look at.
        assert hash_key(secret) in while_open
        assert hash_key(secret) in at_rest


# Terms

TERMS = KeyTerms(
    limits=Limits(requests=60, tokens=10**12, concurrency=3),
    hedge=False,
    budget_nanodollars=2**53 + 1,
    expires_at=5000.5,
    scopes=("inference", "usage"),
)


def test_a_keys_terms_are_kept_as_they_were_given(store: KeyStore) -> None:
    key, _ = store.create("laptop", terms=TERMS)
    [kept] = store.list_keys()
    assert kept == key
    assert {name: getattr(kept, name) for name in TERMS.__struct_fields__} == asdict(TERMS)


def test_a_key_without_terms_leaves_everything_open(store: KeyStore) -> None:
    store.create("laptop")
    [kept] = store.list_keys()
    assert {name: getattr(kept, name) for name in TERMS.__struct_fields__} == asdict(KeyTerms())


def test_terms_are_changed_and_taken_away_one_by_one(store: KeyStore) -> None:
    key, _ = store.create("laptop", terms=TERMS)
    tighter = replace(TERMS.limits, tokens=None, requests=1)
    changed = store.change("laptop", lambda found: replace(found, limits=tighter, hedge=None))
    assert changed == replace(key, limits=tighter, hedge=None)
    assert store.list_keys() == [changed]
    assert loaded(store) == (2, [changed])


def test_a_change_leaves_alone_what_makes_the_key(store: KeyStore) -> None:
    key, _ = store.create("laptop")
    store.change(
        key.id,
        lambda found: replace(found, id="key_x", digest=b"x", hint="x", revoked_at=1.0, name="b"),
    )
    assert store.list_keys() == [replace(key, name="b")]


@pytest.mark.parametrize(
    "terms",
    [
        KeyTerms(limits=Limits(requests=0)),
        KeyTerms(limits=Limits(tokens=-1)),
        KeyTerms(limits=Limits(concurrency=10**16)),
        KeyTerms(budget_nanodollars=-1),
        KeyTerms(budget_nanodollars=2**63),
        KeyTerms(expires_at=999.0),
        KeyTerms(expires_at=math.nan),
        KeyTerms(expires_at=math.inf),
        KeyTerms(scopes=()),
        KeyTerms(scopes=("everything",)),  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_terms_on_which_no_key_can_be_used_are_refused(
    file_store: KeyStore, terms: KeyTerms
) -> None:
    with pytest.raises(InvalidTerms):
        file_store.create("laptop", terms=terms)
    key, _ = file_store.create("laptop")
    with pytest.raises(InvalidTerms):
        file_store.change(key.id, lambda found: replace(found, **asdict(terms)))
    assert loaded(file_store) == (1, [key])


def test_an_expired_key_can_still_be_changed(file_store: KeyStore) -> None:
    file_store.create("laptop", terms=KeyTerms(expires_at=1000.5))
    changed = file_store.change("laptop", lambda found: replace(found, hedge=True))
    assert (changed.hedge, changed.expires_at) == (True, 1000.5)


def test_a_key_belongs_to_the_account_it_was_made_for_or_given_to(store: KeyStore) -> None:
    accounts = AccountStore(store.database)
    first, second = accounts.create("first"), accounts.create("second")
    key, _ = store.create("laptop", account="first")
    assert key.account_id == first.id
    moved = store.change(key.id, lambda found: replace(found, account_id="second"))
    assert moved.account_id == second.id
    assert store.list_keys() == [moved]


def test_a_key_cannot_be_put_into_an_account_that_is_closed_or_unknown(store: KeyStore) -> None:
    accounts = AccountStore(store.database)
    closed = accounts.close(accounts.create("gone").id)
    key, _ = store.create("laptop")
    before = store.revision()
    with pytest.raises(AccountClosed, match=closed.id):
        store.create("other", account=closed.id)
    with pytest.raises(AccountClosed, match=closed.id):
        store.change(key.id, lambda found: replace(found, account_id=closed.id))
    with pytest.raises(UnknownAccount, match="did you mean 'default'"):
        store.create("other", account="defualt")
    assert loaded(store) == (before, [key])


def test_a_mistyped_name_is_answered_with_the_nearest_one(store: KeyStore) -> None:
    store.create("build server")
    with pytest.raises(
        UnknownKey, match="no active key matches 'biuld server'; did you mean 'build"
    ):
        store.revoke("biuld server")


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
    assert loaded(store) == (store.revision(), [key])


def test_two_stores_on_one_database_see_each_others_changes(store: KeyStore, location: str) -> None:
    with KeyStore.open(location) as other:
        key, secret = other.create("laptop")
        assert loaded(store) == (1, [key])
        store.revoke(secret)
        assert loaded(other) == (2, [])


def test_a_key_revoked_by_another_process_is_gone_here(store: KeyStore, location: str) -> None:
    key, secret = store.create("laptop")
    ring = KeyRing(store.load()[1])
    caller = ring.authenticate(secret)
    assert caller is not None
    assert caller.key == key
    program = (
        "import sys; from router.accounts.store import KeyStore\n"
        "with KeyStore.open(sys.argv[1]) as store: store.revoke(sys.argv[2])"
    )
    root = Path(router.__file__).parent.parent
    subprocess.run(
        [sys.executable, "-c", program, location, key.id],
        check=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    revision, snapshot = store.load()
    ring.replace(snapshot)
    assert revision == 2
    assert ring.authenticate(secret) is None


# The file


def test_the_file_and_its_new_directories_are_private(file_store: KeyStore, path: Path) -> None:
    file_store.create("laptop")
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
    file_store: KeyStore, path: Path
) -> None:
    file_store.create("laptop")
    file_store.close()
    file_store.close()
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
        "postgresql+asyncpg://user:hunter2@db/syze",
        "postgresql://user:hunter2@db:port/syze",
        "mysql+pymysql://user:hunter2@db/syze",
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
    file_store: KeyStore, path: Path
) -> None:
    file_store.create("laptop")
    file_store.close()
    path.unlink()
    with pytest.raises(StoreNotWritable):
        file_store.load()
    assert not path.exists()


def test_a_database_that_stays_locked_is_called_busy(file_store: KeyStore, path: Path) -> None:
    impatient = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0})
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(DBAPIError) as caught, impatient.begin() as connection:
            connection.exec_driver_sql("DELETE FROM api_keys")
    impatient.dispose()
    assert isinstance(SqliteFile(path).error_of(caught.value), StoreBusy)


def test_a_writing_transaction_keeps_other_writers_out_from_its_start(path: Path) -> None:
    database = Database(SqliteFile(path))
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as rival:
        with database.reading():
            rival.execute("BEGIN IMMEDIATE")
            rival.execute("ROLLBACK")
        with (
            database.writing(),
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            rival.execute("BEGIN IMMEDIATE")
    database.close()


@pytest.mark.parametrize("before", ["", " "])
def test_i12_a_database_error_quotes_no_secret(
    file_store: KeyStore, path: Path, before: str
) -> None:
    secret = generate_key()
    with closing(sqlite3.connect(path, isolation_level=None)) as vandal:
        vandal.execute("ALTER TABLE api_keys DROP COLUMN hint")
    with pytest.raises(StoreError, match="no such column") as caught:
        file_store.revoke(before + secret)
    cause = caught.value.__cause__
    assert isinstance(cause, DBAPIError)
    assert secret not in f"{caught.value} {cause}"


# Migrations


def test_opening_again_changes_nothing(file_store: KeyStore, path: Path) -> None:
    file_store.create("laptop")
    before = loaded(file_store)
    file_store.close()
    content = path.read_bytes()
    with KeyStore.open(path) as again:
        assert loaded(again) == before
    assert path.read_bytes() == content


def test_the_migrations_build_the_tables_the_code_expects(location: str) -> None:
    with open_database(location) as database, database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_newest_layout_is_the_one_that_the_last_migration_makes() -> None:
    assert NEWEST_LAYOUT == NEWEST


def test_every_migration_can_be_undone_and_done_again(location: str) -> None:
    with KeyStore.open(location) as store:
        store.create("laptop")
        move(store.database, to="base")
        with store.database.reading() as connection:
            assert inspect(connection).get_table_names() == ["alembic_version"]
        move(store.database, to="head")
        assert loaded(store) == (0, [])


def test_keys_from_before_accounts_come_to_the_default_account(location: str) -> None:
    with KeyStore.open(location) as store:
        secret = store.create("old")[1]
        revoked = store.revoke(store.create("older")[0].id)
        move(store.database, to="0001")
        move(store.database, to="head")
        caller = KeyRing(store.load()[1]).authenticate(secret)
        assert caller is not None
        assert (caller.key.name, caller.key.account_id) == ("old", "acc_default")
        assert caller.account.name == "default"
        assert not caller.account.prepaid
        assert caller.tier == EMBEDDED_TIER
        assert caller.tier.allows("any/model")
        assert revoked in store.list_keys(include_revoked=True)


def move(database: Database, *, to: str) -> None:
    """Migrate to another layout, forwards or back."""
    config = migration_config()
    with database.migrating() as connection:
        config.attributes["connection"] = connection
        head = to == "head"
        (command.upgrade if head else command.downgrade)(config, to)


def test_a_migration_that_fails_leaves_nothing_behind(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as foreign:
        foreign.execute("CREATE TABLE changes (mine TEXT)")
    with pytest.raises(StoreError, match="changes already exists"):
        KeyStore.open(path)
    with closing(sqlite3.connect(path)) as after:
        tables = after.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("changes",)]


def test_a_database_from_a_newer_version_is_refused_untouched(
    file_store: KeyStore, path: Path
) -> None:
    file_store.close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("UPDATE alembic_version SET version_num = '9999'")
        newer.commit()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=rf"'9999'.*'{NEWEST}'"):
        KeyStore.open(path)
    assert path.read_bytes() == before


def test_opening_at_once_from_many_threads_migrates_once(location: str) -> None:
    start = threading.Barrier(8)

    def open_and_create(number: int) -> None:
        start.wait()
        with KeyStore.open(location) as store:
            store.create(f"key {number}")

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(open_and_create, number) for number in range(8)]:
            done.result()
    with KeyStore.open(location) as store:
        assert store.revision() == 8
        assert {key.name for key in store.list_keys()} == {f"key {n}" for n in range(8)}
        with store.database.reading() as connection:
            versions = connection.exec_driver_sql("SELECT version_num FROM alembic_version")
            assert versions.scalars().all() == [NEWEST]


def test_of_many_who_revoke_a_key_at_once_one_does(location: str) -> None:
    with KeyStore.open(location) as store:
        key, _ = store.create("laptop")
    start = threading.Barrier(6)
    times = itertools.count(1000.0)

    def revoke(_: int) -> float | None:
        with KeyStore.open(location, wall_clock=lambda: next(times)) as store:
            start.wait()
            try:
                return store.revoke(key.id).revoked_at
            except AlreadyRevoked:
                return None

    with ThreadPoolExecutor(6) as pool:
        [revoked_at] = [at for at in pool.map(revoke, range(6)) if at is not None]
    with KeyStore.open(location) as store:
        assert store.revision() == 2
        assert store.list_keys(include_revoked=True) == [replace(key, revoked_at=revoked_at)]


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

"""Killed at any moment: what a client saw settled is in the books once, and nothing is in them twice.

The first test plays random histories in one process, against the real books, and dies at any byte of any
write and at any step around the database's commits. The second kills real processes with SIGKILL.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from router.accounts.database import Database, open_database
from router.ledger.book import Book
from router.ledger.journal import Journal
from router.ledger.journal_file import Disk
from router.ledger.mover import JournalMover, Listener
from router.ledger.replay import replay_folder
from router.ledger.schema import settlements
from router.ledger.settlement import Settlement
from router.ledger.store import Batch, SettlementStore, Stored
from tests.conftest import SIZE
from tests.ledger_world import new_account, settlement


class Killed(BaseException):
    """The process ends here: nothing that follows would have happened."""


class Fate:
    """Counts the steps until death; a step that writes may die with part of it written."""

    def __init__(self, steps: int, written: int) -> None:
        self.steps = steps
        self.written = written

    def step(self) -> None:
        self.steps -= 1
        if self.steps < 0:
            raise Killed


class MortalDisk(Disk):
    def __init__(self, fate: Fate) -> None:
        self._fate = fate

    def allocate(self, descriptor: int, size: int) -> None:
        self._fate.step()
        super().allocate(descriptor, size)
        self._fate.step()

    def write(self, descriptor: int, data: bytes, position: int) -> int:
        try:
            self._fate.step()
        except Killed:
            super().write(descriptor, data[: self._fate.written], position)
            raise
        return super().write(descriptor, data, position)

    def sync_folder(self, folder: Path) -> None:
        self._fate.step()
        super().sync_folder(folder)
        self._fate.step()


class MortalBooks:
    """The real books, with death before and after every commit."""

    def __init__(self, store: SettlementStore, fate: Fate) -> None:
        self._store = store
        self._fate = fate

    def apply(self, batch: Batch) -> Stored:
        self._fate.step()
        stored = self._store.apply(batch)
        self._fate.step()
        return stored

    def position(self, file_id: str) -> int:
        return self._store.position(file_id)

    def forget(self, file_id: str) -> None:
        self._fate.step()
        self._store.forget(file_id)
        self._fate.step()


class Life:
    """One process: its journal, until it dies."""

    def __init__(self, folder: Path, store: SettlementStore, fate: Fate) -> None:
        self.books = MortalBooks(store, fate)
        self.disk = MortalDisk(fate)
        replay_folder(folder, self.books, disk=self.disk)
        # Three settlements fill a file.
        self.journal = Journal(folder, disk=self.disk, file_bytes=1500)
        self.mover = JournalMover(self.journal, self.books, Listener())

    def append(self, one: Settlement) -> None:
        if self.journal.wants_spare:
            self.journal.provide(self.journal.make_spare())
        self.journal.append(one)

    def drain(self) -> None:
        trio.run(self.mover.drain)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "books.db") as opened:
        yield opened


def test_i1_a_crash_at_any_step_loses_and_doubles_nothing(database: Database) -> None:
    account = new_account(database)
    Book(database).top_up(account, 10**12, key="a")
    store = SettlementStore(database)
    deaths = st.tuples(st.integers(0, 25), st.integers(0, 420))
    acts = st.lists(st.sampled_from(["append", "append", "append", "drain"]), max_size=14)

    @settings(max_examples=40 * SIZE)
    @given(st.lists(st.tuples(deaths, acts), min_size=1, max_size=4))
    def history(lives: list[tuple[tuple[int, int], list[str]]]) -> None:
        folder = Path(tempfile.mkdtemp())
        seen: list[str] = []  # by a client, as settled
        begun: list[str] = []
        for (steps, written), acts in lives:
            live(folder, Fate(steps, written), acts, seen, begun)
        replay_folder(folder, store)
        assert list(folder.glob("*.journal")) == []
        shutil.rmtree(folder)
        with database.reading() as connection:
            query = select(settlements.c.request_id)
            booked = set(
                connection.execute(query.where(settlements.c.request_id.in_(begun))).scalars()
            )
        assert set(seen) <= booked
        # At most the one that each life died in was booked without a client having seen it.
        assert len(booked) <= len(seen) + len(lives)
        proof = Book(database).verify()
        assert proof.sound
        assert proof.charged == 1000 * (proof.entries - 1)

    def live(folder: Path, fate: Fate, acts: list[str], seen: list[str], begun: list[str]) -> None:
        life = None
        try:
            life = Life(folder, store, fate)
            for act in acts:
                if act == "drain":
                    life.drain()
                else:
                    one = settlement(account_id=account)
                    begun.append(one.request_id)
                    life.append(one)
                    seen.append(one.request_id)
        except Killed:
            pass
        finally:
            if life is not None:
                life.journal.close()  # as the kernel does for a dead process

    history()


WORKER = """
import sys
from pathlib import Path
import trio
from router.accounts.database import open_database
from router.ledger.journal import Journal
from router.ledger.mover import JournalMover, Listener, Pace
from router.ledger.store import SettlementStore
from tests.ledger_world import settlement

folder, database, account, name = sys.argv[1:]

async def main():
    journal = Journal(Path(folder), file_bytes=16_000)
    pace = Pace(sync=0.002, book=0.003, adopt=0.01)
    mover = JournalMover(journal, SettlementStore(open_database(database)), Listener(), pace=pace)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mover.run)
        number = 0
        while True:
            if journal.accepts:
                number += 1
                one = settlement(account_id=account, request_id=f"{name}-{number}")
                journal.append(one)
                print(one.request_id, flush=True)
            await trio.sleep(0.0005)

trio.run(main)
"""


def test_i1_killed_processes_lose_and_double_nothing(tmp_path: Path, database: Database) -> None:
    account = new_account(database)
    book = Book(database)
    book.top_up(account, 10**14, key="a")
    seen: set[str] = set()
    for round_ in range(SIZE):
        seen |= killed_workers(tmp_path, account, round_)
    found = replay_folder(tmp_path / "journal", SettlementStore(database))
    assert found.damage == []
    with database.reading() as connection:
        booked = connection.execute(select(settlements.c.request_id)).scalars().all()
    assert len(seen) > 20
    assert seen <= set(booked)
    assert len(booked) <= len(seen) + 3 * SIZE  # and those that were written but not printed
    proof = book.verify()
    assert proof.sound
    assert book.balance(account) == 10**14 - 1000 * len(booked)


def killed_workers(folder: Path, account: str, round_: int) -> set[str]:
    """What three processes say they have settled, each until it is killed."""
    with contextlib.ExitStack() as stack:
        workers = []
        for number in range(3):
            name = f"req_{round_}_{number}"
            arguments = [folder / "journal", folder / "books.db", account, name]
            workers.append(
                stack.enter_context(
                    subprocess.Popen(
                        [sys.executable, "-c", WORKER, *map(str, arguments)],
                        stdout=subprocess.PIPE,
                        text=True,
                        cwd=Path(__file__).parents[2],
                    )
                )
            )
        said: set[str] = set()
        for number, worker in enumerate(workers):
            assert worker.stdout is not None
            for _ in range(30 + 40 * number):
                said.add(worker.stdout.readline().strip())
            assert "" not in said, "a worker ended by itself"
            os.kill(worker.pid, signal.SIGKILL)
            # A line that was cut off by the kill was read by nobody.
            said |= {line.strip() for line in worker.stdout if line.endswith("\n")}
    return said

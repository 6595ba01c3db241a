"""A journal in trouble: a full disk, a database that is away, bytes that rot. Nothing is lost in silence."""

import errno
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import trio
from sqlalchemy import text

from router.accounts.database import Database, open_database
from router.accounts.errors import StoreAway
from router.ledger.book import Book
from router.ledger.frame import write_frame
from router.ledger.journal import Journal, JournalFull
from router.ledger.journal_file import Disk, claim_file
from router.ledger.live_batch import next_batch
from router.ledger.mover import JournalMover, Listener, Pace
from router.ledger.recent import MOST_RECENT, Recent
from router.ledger.replay import JournalDamaged, Replayed, replay_folder
from router.ledger.settlement import Settlement
from router.ledger.store import Batch, SettlementStore, Stored
from router.ledger.usage import Scope, usage_report
from tests.ledger_world import settlement

FRAME = len(write_frame(settlement(billed=False)))


class FullDisk(Disk):
    """A disk that takes only so many bytes, allocated ones counted as taken; `free` may be raised."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.keeps_promise = True

    def allocate(self, descriptor: int, size: int) -> None:
        if size > self.free:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.free -= size
        super().allocate(descriptor, size)

    def write(self, descriptor: int, data: bytes, position: int) -> int:
        if self.keeps_promise:
            return super().write(descriptor, data, position)
        # As the kernel does: first what still fits, then the error.
        if not self.free:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = super().write(descriptor, data[: self.free], position)
        self.free -= taken
        return taken


class Heard(Listener):
    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.troubles: list[Exception] = []
        self.replays: list[Replayed] = []

    def booked(self, batch: Batch, stored: Stored) -> None:
        self.batches.append(batch)

    def adopted(self, replayed: Replayed) -> None:
        self.replays.append(replayed)

    def trouble(self, error: Exception) -> None:
        self.troubles.append(error)


class FlakyBooks(SettlementStore):
    """Books whose database can be taken away, before a transaction or just after its commit."""

    away = False
    loses_answers = False

    def apply(self, batch: Batch) -> Stored:
        if self.away:
            raise StoreAway("the database is away")
        stored = super().apply(batch)
        if self.loses_answers:
            raise StoreAway("the connection broke at the commit")
        return stored


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "books.db") as opened:
        yield opened


@pytest.fixture
def books(database: Database) -> FlakyBooks:
    return FlakyBooks(database)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def requests(database: Database) -> int:
    with database.reading() as connection:
        return usage_report(connection, Scope())[0].requests


def written(journal: Journal, count: int) -> list[Settlement]:
    settled = [settlement(billed=False) for _ in range(count)]
    for one in settled:
        journal.append(one)
    return settled


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what threads and a real disk bring about, in real time."""
    with trio.fail_after(20):
        while not condition():  # noqa: ASYNC110 - nobody is there to set an event
            await trio.sleep(0.01)


def forget(journal: Journal) -> None:
    """Leave nothing of what is written in memory, so that it has to be read from the disk."""
    for file in journal.files:
        file.recent = Recent(0)
        file.recent.start = file.end


def accepts(journal: Journal) -> bool:
    """Asked anew each time, which a type checker does not expect of a property."""
    return journal.accepts


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# A full disk


def test_a_full_disk_stops_new_requests_while_running_ones_still_find_room(folder: Path) -> None:
    disk = FullDisk(free=20 * FRAME)
    journal = Journal(folder, disk=disk, file_bytes=20 * FRAME)
    with pytest.raises(OSError, match="No space"):
        journal.make_spare()
    settled = 0
    while accepts(journal):
        written(journal, 1)
        settled += 1
    assert 8 <= settled <= 12
    written(journal, 8)  # those that were let in before
    journal.close()


def test_what_cannot_be_written_is_refused_and_the_rest_is_whole(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    disk = FullDisk(free=20 * FRAME)
    journal = Journal(folder, disk=disk, file_bytes=20 * FRAME)
    disk.keeps_promise = False
    disk.free = int(2.5 * FRAME)
    written(journal, 2)
    with pytest.raises(JournalFull) as caught:
        written(journal, 1)
    assert isinstance(caught.value.__cause__, OSError)
    assert not accepts(journal)
    with pytest.raises(JournalFull):
        written(journal, 1)
    disk.free = 100 * FRAME
    journal.provide(journal.make_spare())
    assert accepts(journal)
    written(journal, 3)
    journal.close()
    found = replay_folder(folder, books)
    assert (found.settlements, found.damage) == (5, [])
    assert found.torn > 0
    assert requests(database) == 5


def test_a_write_that_takes_only_a_part_is_gone_on_with(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    class Sips(Disk):
        def write(self, descriptor: int, data: bytes, position: int) -> int:
            return super().write(descriptor, data[:7], position)

    journal = Journal(folder, disk=Sips())
    written(journal, 3)
    journal.close()
    assert replay_folder(folder, books).settlements == 3
    assert requests(database) == 3


def test_a_file_that_fails_is_left_for_the_next(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    class BadFile(Disk):
        bad = -1

        def write(self, descriptor: int, data: bytes, position: int) -> int:
            if descriptor == self.bad:
                raise OSError(errno.EIO, "Input/output error")
            return super().write(descriptor, data, position)

    disk = BadFile()
    journal = Journal(folder, disk=disk)
    journal.provide(journal.make_spare())
    written(journal, 2)
    disk.bad = journal.files[0].descriptor
    written(journal, 2)
    assert len(journal.files) == 2
    journal.close()
    replay_folder(folder, books)
    assert requests(database) == 4


async def test_a_spare_is_made_as_soon_as_the_disk_has_room_again(
    folder: Path, books: FlakyBooks
) -> None:
    disk = FullDisk(free=20 * FRAME)
    journal = Journal(folder, disk=disk, file_bytes=20 * FRAME)
    written(journal, 15)
    heard = Heard()
    books.away = True
    async with trio.open_nursery() as nursery:
        mover = JournalMover(journal, books, heard, pace=Pace(sync=0.01, longest_wait=0.02))
        nursery.start_soon(mover.run)
        await until(lambda: any(isinstance(one, OSError) for one in heard.troubles))
        assert not accepts(journal)
        disk.free = 100 * FRAME
        await until(lambda: accepts(journal))
        nursery.cancel_scope.cancel()
    journal.close()


# A database that is away


async def test_while_the_database_is_away_the_journal_takes_as_much_as_it_says(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    bound = 50 * FRAME
    journal = Journal(folder, file_bytes=20 * FRAME, backlog_bytes=bound)
    heard = Heard()
    books.away = True
    count = 0
    async with trio.open_nursery() as nursery:
        pace = Pace(sync=0.001, book=0.001, longest_wait=0.01)
        nursery.start_soon(JournalMover(journal, books, heard, pace=pace).run)
        while journal.backlog_bytes < bound:
            await until(lambda: accepts(journal) or journal.backlog_bytes >= bound)
            count += len(written(journal, 1))
        assert not accepts(journal)
        assert 48 <= count <= 52
        assert requests(database) == 0
        assert any(isinstance(error, StoreAway) for error in heard.troubles)
        books.away = False
        await until(lambda: journal.backlog_bytes == 0)
        assert accepts(journal)
        nursery.cancel_scope.cancel()
    assert requests(database) == count
    assert sum(len(batch.records) for batch in heard.batches) == count
    journal.close()


async def test_a_commit_whose_answer_got_lost_is_not_repeated(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    journal = Journal(folder)
    heard = Heard()
    mover = JournalMover(journal, books, heard)
    written(journal, 3)
    books.loses_answers = True
    with pytest.raises(StoreAway):
        await mover.drain()
    books.loses_answers = False
    assert heard.batches == []
    await mover.drain()
    assert requests(database) == 3
    assert [len(batch.records) for batch in heard.batches] == [3]
    assert journal.backlog_bytes == 0
    journal.close()


async def test_books_that_were_put_back_are_brought_up_again(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    journal = Journal(folder)
    mover = JournalMover(journal, books, Heard())
    written(journal, 3)
    await mover.drain()
    with database.writing() as connection:
        for table in ("settlements", "usage_days", "journal_positions"):
            connection.execute(text(f"DELETE FROM {table}"))
    written(journal, 1)
    await mover.drain()
    assert requests(database) == 4
    journal.close()


async def test_files_go_as_soon_as_they_are_booked(folder: Path, books: FlakyBooks) -> None:
    journal = Journal(folder, file_bytes=5 * FRAME)
    for _ in range(4):
        written(journal, 5)
        journal.provide(journal.make_spare())
    assert len(names_in(folder)) == 5
    mover = JournalMover(journal, books, Heard())
    async with trio.open_nursery() as nursery:
        # Two at once, as at a shutdown: neither may take a file from under the other.
        nursery.start_soon(mover.drain)
        nursery.start_soon(mover.drain)
    # What is left is the current file, which is full and not known to be, and the next.
    assert len(names_in(folder)) == 2
    assert f"{journal.files[0].id}.journal" in names_in(folder)
    journal.close()


async def test_a_drain_that_is_cancelled_leaves_the_rest_to_the_next_start(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    journal = Journal(folder)
    written(journal, 3)
    with trio.CancelScope() as scope:
        scope.cancel()
        await JournalMover(journal, books, Heard()).drain()
    journal.close()
    assert replay_folder(folder, books).settlements == 3
    assert requests(database) == 3


# Files of the dead


async def test_a_dead_workers_files_are_booked_by_its_siblings(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    dead = Journal(folder)
    written(dead, 3)
    heard = Heard()
    mine = Journal(folder)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(JournalMover(mine, books, heard, pace=Pace(adopt=0.01)).run)
        assert requests(database) == 0
        dead.close()
        await until(lambda: len(heard.replays) == 1)
        nursery.cancel_scope.cancel()
    assert [replay.settlements for replay in heard.replays] == [3]
    assert requests(database) == 3
    assert len(names_in(folder)) == 2  # its own, and the next
    mine.close()


def test_nobody_takes_a_file_from_the_living(folder: Path, books: FlakyBooks) -> None:
    journal = Journal(folder)
    written(journal, 3)
    assert replay_folder(folder, books).files == 0
    assert claim_file(journal.files[0].path) is None
    journal.close()
    assert replay_folder(folder, books).files == 1


def test_many_who_replay_at_once_book_everything_once(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    for _ in range(4):
        journal = Journal(folder)
        written(journal, 5)
        journal.close()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: replay_folder(folder, books), range(4)))
    assert sum(one.files for one in found) == 4
    assert requests(database) == 20
    assert list(folder.iterdir()) == []


def test_a_file_that_was_never_finished_is_removed_when_it_is_old(
    folder: Path, books: FlakyBooks
) -> None:
    folder.mkdir()
    for name, age in (("1-young.new", 30), ("1-old.new", 90)):
        (folder / name).write_bytes(b"\0" * 100)
        os.utime(folder / name, times=(time.time() - age,) * 2)
    assert replay_folder(folder, books).files == 0
    assert names_in(folder) == ["1-young.new"]


def test_i12_journals_are_for_their_owner_alone(folder: Path) -> None:
    journal = Journal(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert journal.files[0].path.stat().st_mode & 0o777 == 0o600
    journal.close()


# Bytes that rot


def left_behind(folder: Path, count: int) -> Path:
    """A file of so many settlements whose writer is dead."""
    journal = Journal(folder, file_bytes=20 * FRAME)
    written(journal, count)
    path = journal.files[0].path
    journal.close()
    return path


def overwrite(path: Path, position: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(position)
        file.write(data)


def test_damage_in_the_middle_is_reported_and_the_rest_is_booked(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    path = left_behind(folder, 5)
    overwrite(path, FRAME + FRAME // 2, b"?")
    found = replay_folder(folder, books)
    assert found.settlements == 4
    ((where, damage),) = found.damage
    assert where == path
    assert abs(damage.start - FRAME) < 10
    assert abs(damage.end - 2 * FRAME) < 10
    assert requests(database) == 4
    # Kept for a person to look at, and not booked again.
    assert [kept.suffix for kept in folder.iterdir()] == [".damaged"]
    assert replay_folder(folder, books).files == 0


@pytest.mark.parametrize("cut", [1, FRAME // 2, FRAME - 1])
def test_a_torn_end_is_no_damage(
    folder: Path, books: FlakyBooks, database: Database, cut: int
) -> None:
    path = left_behind(folder, 3)
    end = 3 * FRAME
    os.truncate(path, end - cut)
    found = replay_folder(folder, books)
    assert (found.settlements, found.damage) == (2, [])
    assert found.torn > 0
    assert requests(database) == 2


@pytest.mark.parametrize("garbage", [b"\0" * 50, b"\xffSZ1" * 20, b"\xff" * 50, b"{}" * 30])
def test_garbage_at_the_end_is_not_booked(
    folder: Path, books: FlakyBooks, database: Database, garbage: bytes
) -> None:
    path = left_behind(folder, 3)
    overwrite(path, len(path.read_bytes().rstrip(b"\0")), garbage)
    assert replay_folder(folder, books).settlements == 3
    assert requests(database) == 3


def test_a_record_that_this_version_cannot_read_is_damage(folder: Path, books: FlakyBooks) -> None:
    folder.mkdir()
    good = write_frame(settlement(billed=False))
    strange = write_frame(settlement(billed=False)).replace(b'"completed"', b'"abolished"')
    # With a checksum that fits, as a newer version would have written it.
    strange = reframed(strange)
    (folder / "0000000000001-a.journal").write_bytes(good + strange + good)
    found = replay_folder(folder, books)
    assert found.settlements == 2
    assert len(found.damage) == 1


def reframed(frame: bytes) -> bytes:
    content = frame[12:]
    length = struct.pack("<I", len(content))
    checksum = zlib.crc32(content, zlib.crc32(length))
    return frame[:4] + length + struct.pack("<I", checksum) + content


async def test_damage_under_a_living_writer_does_not_stop_what_follows(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    journal = Journal(folder)
    heard = Heard()
    mover = JournalMover(journal, books, heard)
    written(journal, 3)
    path, end = journal.files[0].path, journal.files[0].end
    overwrite(path, end - 5, b"?")
    forget(journal)
    await mover.drain()
    assert requests(database) == 2
    (trouble,) = heard.troubles
    assert isinstance(trouble, JournalDamaged)
    assert path.stem in str(trouble)
    written(journal, 1)
    await mover.drain()
    assert requests(database) == 3
    assert journal.backlog_bytes == 0
    journal.close()


async def test_a_file_that_was_cut_short_does_not_stop_what_follows(
    folder: Path, books: FlakyBooks, database: Database
) -> None:
    journal = Journal(folder)
    heard = Heard()
    written(journal, 3)
    os.truncate(journal.files[0].path, 0)
    forget(journal)
    await JournalMover(journal, books, heard).drain()
    assert journal.backlog_bytes == 0
    assert [type(error) for error in heard.troubles] == [JournalDamaged]
    assert requests(database) == 0
    journal.close()


@pytest.mark.parametrize("count", [1500, MOST_RECENT, MOST_RECENT + 1, MOST_RECENT + 300])
async def test_a_long_backlog_is_booked_in_order_whether_it_is_still_in_memory_or_not(
    count: int, folder: Path, books: FlakyBooks, database: Database
) -> None:
    journal = Journal(folder)
    heard = Heard()
    settled = written(journal, count)
    await JournalMover(journal, books, heard).drain()
    records = [one for batch in heard.batches for _, one in batch.records]
    assert records == settled
    assert (len(heard.batches) > 1) == (count > MOST_RECENT)
    assert heard.troubles == []
    assert requests(database) == count
    assert Book(database).verify().sound
    journal.close()


def test_what_is_in_memory_is_what_is_in_the_file_to_the_byte(folder: Path) -> None:
    journal = Journal(folder)
    (file,) = journal.files
    for count in (3, 1, 20):
        written(journal, count)
        read, damage = next_batch(file, file.end)
        assert (file.recent.take(file.id, file.booked), damage) == (read, [])
        assert file.recent.take(file.id, file.booked) is None, "what was taken is in the file alone"
        file.booked = read.end
    journal.close()


@pytest.mark.parametrize("seed", range(5))
async def test_all_is_booked_once_and_in_order_whatever_memory_and_database_forget(
    seed: int, folder: Path, books: FlakyBooks, database: Database
) -> None:
    """Memory overflows, files change, the database goes away before a commit or just after it."""
    rng = Random(seed)
    journal = Journal(folder, file_bytes=60 * FRAME)
    mover = JournalMover(journal, books, heard := Heard())
    settled: list[Settlement] = []
    for _ in range(40):
        for file in journal.files:
            if rng.random() < 0.2 and file.recent.start == file.booked == file.end:
                file.recent = Recent(rng.choice([0, 1, 7]))
                file.recent.start = file.end
        if journal.wants_spare:
            journal.provide(journal.make_spare())
        settled += written(journal, rng.randint(0, 25))
        books.away, books.loses_answers = rng.random() < 0.3, rng.random() < 0.2
        if books.away or books.loses_answers:
            with suppress(StoreAway):
                await mover.drain()
        else:
            await mover.drain()
            assert requests(database) == len(settled)
    books.away = books.loses_answers = False
    await mover.finish()
    assert requests(database) == len(settled)
    assert heard.troubles == []
    assert names_in(folder) == []
    journal.close()

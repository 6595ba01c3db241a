"""Files whose writer is dead: they are claimed, booked, and removed.

It happens at the start, before anything is served, so that balances are true from the first request on; and
while running, for a sibling may have died and left its files. Whatever was booked of a file before is not
booked again, see `store`.

A file in which something was damaged or torn is booked as far as it can be read, and kept under another name.
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from router.accounts.errors import StoreError
from router.ledger.frame import Damage, Reading, read_frames
from router.ledger.journal_file import (
    DAMAGED,
    SUFFIX,
    UNFINISHED,
    Disk,
    JournalFile,
    claim_file,
    remove_file,
)
from router.ledger.store import Batch, Stored

BATCH_RECORDS: Final = 500
UNFINISHED_SECONDS: Final = 60.0


class Books(Protocol):
    """What the journal needs of the books. All calls block, and raise what the database raises."""

    def apply(self, batch: Batch) -> Stored:
        """Book a batch, exactly once."""

    def position(self, file_id: str) -> int:
        """Return how far a file is booked."""

    def forget(self, file_id: str) -> None:
        """Forget a file that does not exist any more."""


class JournalDamaged(Exception):
    """Settlements were written and cannot be read any more. What is left of the file is kept at `path`."""

    def __init__(self, path: Path, damage: Sequence[Damage]) -> None:
        where = ", ".join(f"{part.start} to {part.end}" for part in damage)
        super().__init__(f"a journal is damaged: bytes {where} of {path.with_suffix(DAMAGED)}")
        self.path = path
        self.damage = tuple(damage)


class Replayed(msgspec.Struct, kw_only=True):
    """What was found in files whose writers are dead.

    `settlements` counts what was read, `booked` what of it was not in the books before. `torn` is bytes that
    a writer had begun to write when it died. `damage` is what was once written and cannot be read, with the
    file that is kept of it. `others` counts the files of the living.
    """

    files: int = 0
    settlements: int = 0
    booked: int = 0
    others: int = 0
    torn: int = 0
    damage: list[tuple[Path, Damage]] = msgspec.field(default_factory=list)
    balances: dict[str, int] = msgspec.field(default_factory=dict)


def replay_folder(folder: Path, books: Books, *, disk: Disk | None = None) -> Replayed:
    """Book and remove every file of the folder that nobody owns; return what was found.

    One at a time does so: whoever returns from here knows that nothing of the dead is being booked still.
    Blocks on disk and database. Raises what they raise (`OSError`, `StoreError`); everything is then as if it
    had not been begun, or had been done, for each batch.
    """
    disk = disk or Disk()
    found = Replayed()
    with _alone_in(folder):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            file = claim_file(path)
            if file is None:
                found.others += path.exists()
                continue
            try:
                _replay_file(file, books, disk, found)
            finally:
                file.close()
        for path in folder.glob(f"*{UNFINISHED}"):
            _remove_unfinished(path)
    return found


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until nobody else replays the folder, and keep others waiting for the length of the block."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _replay_file(file: JournalFile, books: Books, disk: Disk, found: Replayed) -> None:
    reading = read_frames(file.read(0), start=0)
    done = books.position(file.id)
    for batch in batches_of(file.id, reading):
        if batch.end > done:
            stored = books.apply(batch)
            if stored.position < batch.end:
                raise StoreError("the books went back while a journal was booked; try again")
            found.balances.update(stored.balances)
            found.booked += sum(end > done for end, _ in batch.records)
    found.files += 1
    found.settlements += len(reading.records)
    found.torn += reading.torn
    found.damage += [(file.path, damage) for damage in reading.damage]
    file.damaged = bool(reading.damage or reading.torn)
    remove_file(file, disk)
    books.forget(file.id)


def batches_of(file_id: str, reading: Reading) -> Iterator[Batch]:
    """Divide the settlements of a whole file into batches; each begins where the one before it ends."""
    start = 0
    records = reading.records
    for first in range(0, len(records), BATCH_RECORDS):
        some = records[first : first + BATCH_RECORDS]
        yield Batch(file_id, start, some[-1][0], some)
        start = some[-1][0]


def _remove_unfinished(path: Path) -> None:
    """Delete a file whose maker died before it had its name. It holds nothing.

    Its maker locks it a moment after it has made it, so only an old one is surely nobody's.
    """
    file = claim_file(path)
    if file is not None:
        if time.time() - os.fstat(file.descriptor).st_mtime > UNFINISHED_SECONDS:
            path.unlink(missing_ok=True)
        file.close()

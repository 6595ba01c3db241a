"""One file of a journal: who may touch it, and how it comes into being with its room already paid for.

The room is allocated when the file is made. A disk that fills up afterwards cannot take it away, so the
requests that are running when it does can still be settled. (File systems that copy on write, such as
btrfs, may not keep that promise; a failing write is then noticed like any other.)

Whoever has the lock on a file owns it: its writer while that lives, and after its death whoever comes
first. The lock is `flock`, which belongs to the open file and not to the process, so a process cannot take
a file from itself, and the kernel lets go of it however the process dies.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from router.ledger.recent import Recent

SUFFIX: Final = ".journal"
UNFINISHED: Final = ".new"
DAMAGED: Final = ".damaged"


class Disk:
    """What a journal asks of the operating system. Everything may raise `OSError`."""

    def allocate(self, descriptor: int, size: int) -> None:
        """Make the file `size` bytes long, with room on the disk for all of them."""
        os.posix_fallocate(descriptor, 0, size)

    # Takes a descriptor, bytes and their position; returns how many were taken. Every request comes by here.
    write: Callable[[int, bytes, int], int] = staticmethod(os.pwrite)

    def sync(self, descriptor: int) -> None:
        """Wait until what was written would survive the loss of power."""
        os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """The same for the folder's own list of names."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class JournalFile:
    """An open file that we own. `size` is its room, `end` the bytes written, `booked` those in the books.

    `recent` are the newest settlements in it, as their writer had them.
    """

    def __init__(self, path: Path, descriptor: int, *, size: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.size = size
        self.end = 0
        self.booked = 0
        self.synced = 0
        self.damaged = False
        self.is_closed = False
        self.recent = Recent()
        self._users = 0

    @property
    def id(self) -> str:
        """Its name in the books: the time it was made at, then chance."""
        return self.path.stem

    def write(self, data: bytes, disk: Disk) -> None:
        """Write all of `data` behind what is there, or nothing that counts. Raises `OSError`.

        What a failing write leaves behind the end is overwritten by the next, or found torn.
        """
        written = disk.write(self.descriptor, data, self.end)
        while written < len(data):
            taken = disk.write(self.descriptor, data[written:], self.end + written)
            if taken <= 0:
                raise OSError(f"nothing could be written to {self.path.name}")
            written += taken
        self.end += written

    def read(self, start: int, end: int | None = None) -> bytes:
        """Return the bytes from `start` to `end`, by default to where its room ends."""
        pieces = []
        end = self.size if end is None else end
        while start < end:
            piece = os.pread(self.descriptor, end - start, start)
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)

    def until_recent(self, end: int) -> int:
        """Return how far to read what is to be booked up to `end`: where it goes on in memory."""
        start = self.recent.start
        return start if self.booked < start < end else end

    @property
    def is_in_use(self) -> bool:
        """Whether a thread has the descriptor in its hands, so that it must not be closed."""
        return self._users > 0

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep the descriptor open for the length of the block."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1

    def close(self) -> None:
        """Give it up, to whoever claims it next."""
        if not self.is_closed:
            self.is_closed = True
            os.close(self.descriptor)


def make_file(folder: Path, *, size: int, disk: Disk) -> JournalFile:
    """Make a new file with its room, and own it. Blocks on the disk; raises `OSError`.

    It gets its name only when it is complete, so nobody ever claims half of one.
    """
    path = folder / f"{time.time_ns() // 1_000_000:013}-{secrets.token_hex(8)}{SUFFIX}"
    unfinished = path.with_suffix(UNFINISHED)
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        disk.allocate(descriptor, size)
        disk.sync(descriptor)
        unfinished.rename(path)
        disk.sync_folder(folder)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    return JournalFile(path, descriptor, size=size)


def claim_file(path: Path) -> JournalFile | None:
    """Own a file whose owner is gone; `None` where it has one, or does not exist any more."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Somebody else may have claimed, booked and deleted it between the two lines above.
        is_it = path.stat().st_ino == os.fstat(descriptor).st_ino
    except (BlockingIOError, FileNotFoundError):
        is_it = False
    if not is_it:
        os.close(descriptor)
        return None
    return JournalFile(path, descriptor, size=os.fstat(descriptor).st_size)


def remove_file(file: JournalFile, disk: Disk) -> None:
    """Delete a file that is booked; if it is damaged, rename it for a person to look at. Blocks."""
    if file.damaged:
        file.path.rename(file.path.with_suffix(DAMAGED))
    else:
        file.path.unlink()
    disk.sync_folder(file.path.parent)


def take_away(file: JournalFile, disk: Disk) -> None:
    """Remove a file and give it up, whether or not that can be done. Raises `OSError`."""
    try:
        remove_file(file, disk)
    finally:
        file.close()

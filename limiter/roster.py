"""The page on which the workers of a machine find each other.

One word per region holds the number of its present tenure: 0 for a region that never was, one more each time
a worker takes the region over, or its dead holder's calls are written off. All workers map the page and
compare it with what they saw last: one look tells whether a worker has come that they do not know.

Who holds a region is told by the kernel, not by a word: a lock on one byte of the roster falls free with
its holder, however that ends. The locks belong to the open file (`F_OFD_SETLK`), so that two tables in one
process exclude each other like two processes do. They are taken when a table is opened, never while serving.
"""

import fcntl
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from limiter.errors import DamagedRegion, FolderInUse
from limiter.region import WORD, map_words

LAYOUT: Final = int.from_bytes(b"SyzeRst\x02", "big")  # its last byte is the layout's version
MOST_REGIONS: Final = 64

MAGIC: Final = 0
ORIGIN: Final = 1  # a random number that its regions carry
BOOT: Final = 2  # the monotonic clock starts anew with each boot of the machine
BUCKET_NANOSECONDS: Final = 3
TENURES: Final = 8
ROSTER_BYTES: Final = 4096
_ALL_TENURES: Final = slice(TENURES * WORD, (TENURES + MOST_REGIONS) * WORD)

SETUP_LOCK: Final = (
    MOST_REGIONS  # the byte behind those of the regions: whoever opens a table holds it
)


class Roster:
    """The mapped roster of a folder. Changes to it are made under `setup()`."""

    __slots__ = ("_file", "_mapping", "_words", "closed")

    def __init__(self, folder: Path, *, writable: bool) -> None:
        """Map the folder's roster; where `writable`, make it. Raises `OSError`, `DamagedRegion`."""
        flags = os.O_RDWR | os.O_CREAT if writable else os.O_RDONLY
        self._file = os.open(folder / "roster", flags | os.O_CLOEXEC, 0o600)
        try:
            if writable:
                os.posix_fallocate(self._file, 0, ROSTER_BYTES)
            _check_size(self._file)
            self._mapping, self._words = map_words(self._file, writable=writable)
        except BaseException:
            os.close(self._file)
            raise
        self.closed = False

    @property
    def origin(self) -> int:
        """The number that its regions carry."""
        return self._words[ORIGIN]

    @property
    def bucket_seconds(self) -> float:
        """How long a bucket of its windows is."""
        return self._words[BUCKET_NANOSECONDS] / 1e9

    def snapshot(self) -> bytes:
        """All tenures as bytes: the same again as long as nobody has come."""
        return self._mapping[_ALL_TENURES]

    def tenure(self, index: int) -> int:
        """The present tenure of a region; 0: there is none."""
        return self._words[TENURES + index]

    def begin_tenure(self, index: int) -> int:
        """Start a new tenure of a region and return its number. What the one before held is written off."""
        self._words[TENURES + index] += 1
        return self._words[TENURES + index]

    def is_of(self, bucket_seconds: float) -> bool:
        """Whether its regions hold windows of this boot, with such buckets, in the layout we know."""
        return self.is_current() and self._words[BUCKET_NANOSECONDS] == _nanoseconds(bucket_seconds)

    def is_current(self) -> bool:
        """Whether it is of this layout and of this boot."""
        return self._words[MAGIC] == LAYOUT and self._words[BOOT] == _boot()

    def start_anew(self, bucket_seconds: float) -> None:
        """Forget all regions. Raises `FolderInUse` if a worker holds one."""
        held = [index for index in range(MOST_REGIONS) if not self._is_free(index)]
        if held:
            raise FolderInUse(
                f"running workers hold the regions {held} with another layout of the table"
            )
        self._words[MAGIC] = 0
        for index in range(MOST_REGIONS):
            self._words[TENURES + index] = 0
        self._words[ORIGIN] = secrets.randbits(62)
        self._words[BOOT] = _boot()
        self._words[BUCKET_NANOSECONDS] = _nanoseconds(bucket_seconds)
        self._words[MAGIC] = LAYOUT

    def _is_free(self, index: int) -> bool:
        if free := self.hold(index):
            self.let_go(index)
        return free

    def hold(self, index: int) -> bool:
        """Lock a region for this table, if nobody else holds it; tell whether that worked."""
        try:
            self._lock(index, fcntl.F_WRLCK, fcntl.F_OFD_SETLK)
        except BlockingIOError:
            return False
        return True

    def let_go(self, index: int) -> None:
        """Unlock a region."""
        self._lock(index, fcntl.F_UNLCK, fcntl.F_OFD_SETLK)

    @contextmanager
    def setup(self) -> Iterator[None]:
        """A context in which this table alone sets up the folder. Waits for others, who take milliseconds."""
        self._lock(SETUP_LOCK, fcntl.F_WRLCK, fcntl.F_OFD_SETLKW)
        try:
            yield
        finally:
            self.let_go(SETUP_LOCK)

    def _lock(self, byte: int, kind: int, command: int) -> None:
        # struct flock on 64-bit Linux: type, whence, start, length, process (0, as the lock is the file's)
        fcntl.fcntl(self._file, command, struct.pack("hhqqi4x", kind, os.SEEK_SET, byte, 1, 0))

    def close(self) -> None:
        """Unmap it. All that this table holds falls free. A second time does nothing."""
        if not self.closed:
            self.closed = True
            self._words.release()
            self._mapping.close()
            os.close(self._file)


def _check_size(file: int) -> None:
    size = os.fstat(file).st_size
    if size < ROSTER_BYTES or size % WORD:
        raise DamagedRegion(f"the roster is {size} bytes long, which none should be")


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _boot() -> int:
    """This boot of the machine, as 62 bits of the id that the kernel gives it."""
    text = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    return int(text.replace("-", ""), 16) & (1 << 62) - 1

"""One worker's file in the shared table, as everybody reads it.

A region is a header, and behind it, in the order they were needed, directories and rows. The file only ever
grows, and nothing in it moves: what a reader has found stays where it is. A reader maps the file as long as
it is, and maps it anew when something lies beyond.

Two directories exist while the small one is being copied into its successor, a few slots per arrival. The
old one is named before the new one is, and its name is dropped when the copy is whole; so a reader that takes
the new name, then the old one, and searches both in that order, misses nobody.
"""

import mmap
import os
from pathlib import Path
from typing import Final

from limiter.directory import SLOTS, find
from limiter.errors import DamagedRegion
from limiter.row import ROW_WORDS

LAYOUT: Final = int.from_bytes(b"SyzeRgn\x02", "big")  # its last byte is the layout's version

MAGIC: Final = 0
ORIGIN: Final = 1  # the roster it belongs to
LENGTH: Final = 2  # words of the file that are allocated
FREE: Final = 3  # words of them that are in use
DIRECTORY: Final = 4
OLD_DIRECTORY: Final = 5
USED_SLOTS: Final = 6
ARRIVALS: Final = (
    8  # counts the rows that were given to a subject: an absence is known as long as it stands
)
HEADER_WORDS: Final = 64

WORD: Final = 8
PAGE_WORDS: Final = 512


def region_path(folder: Path, index: int) -> Path:
    """The file of region `index`."""
    return folder / f"region-{index:02}"


def map_words(file: int, *, writable: bool) -> tuple[mmap.mmap, memoryview]:
    """Map a whole file as it is now: the mapping, and its words."""
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    mapping = mmap.mmap(file, 0, access=access)
    return mapping, memoryview(mapping).cast("q")


class Region:
    """A mapped region. `words` is replaced when the file has grown; offsets into it stay true.

    `tenure` is the number of the region's present holder, by which its gauges are told from a dead one's.
    """

    __slots__ = ("_file", "_mapping", "closed", "index", "tenure", "words")

    _writable = False

    def __init__(self, path: Path, *, index: int, tenure: int, origin: int) -> None:
        """Map the file at `path`. Raises `DamagedRegion`, `FileNotFoundError` and other `OSError`."""
        self.index = index
        self.tenure = tenure
        self.closed = False
        self._file = os.open(path, (os.O_RDWR if self._writable else os.O_RDONLY) | os.O_CLOEXEC)
        try:
            _check_size(self._file)
            self._mapping, self.words = map_words(self._file, writable=self._writable)
        except BaseException:
            os.close(self._file)
            raise
        if flaw := _flaw(self.words, origin):
            self.close()
            raise DamagedRegion(f"{path}: {flaw}")

    def row_of(self, high: int, low: int) -> int:
        """The row of a digest, or, where it has none, `~arrivals` at which that was known (negative)."""
        while True:
            words = self.words
            arrivals = words[ARRIVALS]
            directory, old = words[DIRECTORY], words[OLD_DIRECTORY]
            try:
                row = find(words, directory, high, low)
                if not row and old:
                    row = find(words, old, high, low)
                if row + ROW_WORDS <= len(words):
                    return row or ~arrivals
            except IndexError:
                pass  # it lies in the part that was added since
            self._follow_growth()

    def _follow_growth(self) -> None:
        before = len(self.words)
        self._remap()
        if len(self.words) <= before:
            raise DamagedRegion(f"region {self.index} points beyond its end")

    def _remap(self) -> None:
        old_mapping, old_words = self._mapping, self.words
        self._mapping, self.words = map_words(self._file, writable=self._writable)
        old_words.release()
        old_mapping.close()

    def close(self) -> None:
        """Unmap it. A second time does nothing."""
        if not self.closed:
            self.closed = True
            self.words.release()
            self._mapping.close()
            os.close(self._file)


def _check_size(file: int) -> None:
    """What is empty or no multiple of a word cannot even be mapped."""
    size = os.fstat(file).st_size
    if size < HEADER_WORDS * WORD or size % WORD:
        raise DamagedRegion(f"a file of {size} bytes is no region")


def _flaw(words: memoryview, origin: int) -> str | None:
    """What keeps these words from being a region of the roster `origin`, or None."""
    if words[MAGIC] != LAYOUT:
        return "it is no region, or one of another version"
    if words[ORIGIN] != origin:
        return "it belongs to another roster"
    length, free = words[LENGTH], words[FREE]
    if not HEADER_WORDS <= free <= length <= len(words):
        return f"it says {free} of {length} words are in use, and has {len(words)}"
    for directory in filter(None, (words[DIRECTORY], words[OLD_DIRECTORY])):
        if not _is_directory(words, directory, free):
            return f"there is no directory at word {directory}"
    return None if words[DIRECTORY] else "it has no directory"


def _is_directory(words: memoryview, directory: int, free: int) -> bool:
    if not HEADER_WORDS <= directory < free - SLOTS:
        return False
    capacity = words[directory]
    power_of_two = capacity > 0 and capacity & (capacity - 1) == 0
    return power_of_two and directory + SLOTS + capacity <= free

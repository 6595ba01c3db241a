"""The region this worker writes: room for a subject's row, and the directory that leads to it.

Room is given out one piece after another. The file is long from the start, so that it is seldom mapped anew,
but it is a hole that costs nothing, and is filled in small chunks just ahead of need. Filling reserves the
blocks: on a full disk that is an error to whoever needed the room, whereas a store into a hole would kill the
process there.

Before new room is taken, a hand moves on over a few slots of the directory and looks for a row whose windows
have run empty and which no running call holds. So the region grows with the subjects that are active within
a minute or so, not with all that were ever seen. Nothing here ever takes long: the work that a large region
has to do is spread over its arrivals.
"""

import os
from pathlib import Path
from typing import Final

from limiter.directory import CAPACITY, LINE, SLOTS, directory_words, insert, remove, slot_for
from limiter.region import (
    ARRIVALS,
    DIRECTORY,
    FREE,
    HEADER_WORDS,
    LAYOUT,
    LENGTH,
    MAGIC,
    OLD_DIRECTORY,
    ORIGIN,
    PAGE_WORDS,
    USED_SLOTS,
    WORD,
    Region,
)
from limiter.row import COUNT, EMPTY, HIGH, IN_FLIGHT, LAST, LOW, ROW_WORDS, in_use, mend
from limiter.window import RING

FIRST_CAPACITY: Final = 1024
FIRST_SIZE: Final = 8 * 1024 * 1024  # words: 64 MiB, a hole at first
WIDENING: Final = 4
CHUNK: Final = (
    32 * 1024
)  # words that are allocated at once: 256 KiB, which takes a fraction of a millisecond
LOOKED_AT: Final = 8  # slots the hand passes per arrival
COPIED: Final = 16  # slots copied per arrival while a larger directory is filled


class OwnRegion(Region):
    """A region that this worker holds, and alone writes to."""

    __slots__ = ("_copied", "_hand", "owed")

    _writable = True

    def __init__(self, path: Path, *, index: int, tenure: int, origin: int) -> None:
        super().__init__(path, index=index, tenure=tenure, origin=origin)
        self.owed: dict[
            int, int
        ] = {}  # by row, since somebody asked for it last: see `limiter.debts`
        self._hand = 0
        self._copied = (
            0  # a copy that the last holder left half done begins again: nothing is put in twice
        )

    def row_for(self, high: int, low: int, bucket: int) -> int:
        """The row of a digest, made if there is none. Raises `OSError` if there is no room for it."""
        row = self.row_of(high, low)
        if row < 0:
            return self._arrive(high, low, bucket)
        if self.words[row + IN_FLIGHT] >> 32 != self.tenure:
            mend(self.words, row, self.tenure)
        return row

    def _arrive(self, high: int, low: int, bucket: int) -> int:
        """Give the digest an empty row. It is found by others only when it is whole."""
        self._make_room_in_directory()
        row = self._idle_row(bucket) or self._take(ROW_WORDS)
        words = self.words
        words[row : row + ROW_WORDS] = EMPTY
        words[row + IN_FLIGHT] = self.tenure << 32
        words[row + HIGH] = high
        words[row + LOW] = low
        words[USED_SLOTS] += insert(words, words[DIRECTORY], slot_for(row, low))
        words[ARRIVALS] += 1
        return row

    def _idle_row(self, bucket: int) -> int:
        """Move the hand on, and take the first row out of the directory that nobody needs; 0 if none."""
        words = self.words
        directory = words[DIRECTORY]
        if words[OLD_DIRECTORY]:
            return 0
        for _ in range(LOOKED_AT):
            self._hand = (self._hand + 1) & (words[directory + CAPACITY] - 1)
            slot = words[directory + SLOTS + self._hand]
            row = (slot & COUNT) << LINE
            if slot > 0 and self._idle(row, bucket):
                words[USED_SLOTS] -= remove(words, directory, slot)
                return row
        return 0

    def _idle(self, row: int, bucket: int) -> bool:
        """Whether its cells are too old even for the stalest reader, and neither calls nor debts pin it."""
        in_flight, held = in_use(self.words, row, self.tenure)
        return not in_flight and not held and self.words[row + LAST] < bucket - RING

    def _make_room_in_directory(self) -> None:
        words = self.words
        if words[OLD_DIRECTORY]:
            self._copy_some()
        elif 4 * words[USED_SLOTS] > 3 * words[words[DIRECTORY] + CAPACITY]:
            self._begin_larger_directory()

    def _begin_larger_directory(self) -> None:
        old = self.words[DIRECTORY]
        capacity = 2 * self.words[old + CAPACITY]
        new = self._take(directory_words(capacity))
        words = self.words
        words[new + CAPACITY] = capacity
        self._copied = 0
        words[USED_SLOTS] = 0
        words[OLD_DIRECTORY] = old
        words[DIRECTORY] = new

    def _copy_some(self) -> None:
        words = self.words
        old, new = words[OLD_DIRECTORY], words[DIRECTORY]
        end = min(self._copied + COPIED, words[old + CAPACITY])
        for slot in words[old + SLOTS + self._copied : old + SLOTS + end].tolist():
            if slot > 0:
                words[USED_SLOTS] += insert(words, new, slot)
        self._copied = end
        if end == words[old + CAPACITY]:
            words[OLD_DIRECTORY] = 0

    def _take(self, size: int) -> int:
        """The offset of `size` words that were never used."""
        at = self.words[FREE]
        if at + size > self.words[LENGTH]:
            self._allocate(size)
        self.words[FREE] = at + size
        return at

    def _allocate(self, needed: int) -> None:
        length = self.words[LENGTH]
        chunk = max(CHUNK, needed)
        chunk += -chunk % PAGE_WORDS
        if length + chunk > len(self.words):
            self._widen(max(WIDENING * len(self.words), length + chunk))
        os.posix_fallocate(self._file, length * WORD, chunk * WORD)
        self.words[LENGTH] = length + chunk

    def _widen(self, size: int) -> None:
        """Make the file longer, and the mapping with it, which keeps the pages it has."""
        self.words.release()
        try:
            self._mapping.resize(size * WORD)
        finally:
            self.words = memoryview(self._mapping).cast("q")


def create_region(path: Path, *, origin: int, capacity: int = FIRST_CAPACITY) -> None:
    """Write an empty region and put it in place whole. Whoever has mapped another file there keeps that one.

    `capacity`: the slots of its first directory, a power of two.
    """
    free = HEADER_WORDS + directory_words(capacity)
    length = free + -free % PAGE_WORDS
    header = [0] * HEADER_WORDS
    header[MAGIC], header[ORIGIN] = LAYOUT, origin
    header[LENGTH], header[FREE], header[DIRECTORY] = length, free, HEADER_WORDS
    fresh = path.with_suffix(".new")
    file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(file, FIRST_SIZE * WORD)
        os.posix_fallocate(file, 0, length * WORD)
        os.pwrite(file, b"".join(word.to_bytes(WORD, "little") for word in [*header, capacity]), 0)
    finally:
        os.close(file)
    fresh.replace(path)

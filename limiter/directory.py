"""Where a subject's row is: a hash table inside the region's file, with one writer and any reader.

A slot is one word: 31 bits of the digest, and where the row begins. Open addressing with steps of one; the
marks alone say where a slot belongs, so a larger table is filled without looking at a single row. Slots
are found by mark and confirmed by the whole digest in the row, which also catches a row that has passed to
another subject since.

A removed slot is buried, not emptied, as others may lie behind it. But where nothing lies behind, it and the
buried before it are emptied at once, which any reader can bear: its search would have ended a step further.
"""

from collections.abc import Iterator
from typing import Final

from limiter.row import COUNT, HIGH, LOW

CAPACITY: Final = 0  # the directory's first word; a power of two
SLOTS: Final = 8  # where its slots begin
MARK: Final = (1 << 31) - 1
BURIED: Final = -1
LINE: Final = 3  # rows begin at multiples of 8 words, and slots count in those


def directory_words(capacity: int) -> int:
    """The size of a directory in words."""
    return SLOTS + capacity


def find(words: memoryview, directory: int, high: int, low: int) -> int:
    """The row of a digest, as the offset of its first word, or 0."""
    capacity = words[directory]
    mark = low & MARK
    home = mark & (capacity - 1)
    slots = directory + SLOTS
    for at in range(home, home + capacity):
        slot = words[slots + (at & (capacity - 1))]
        if not slot:
            return 0
        if slot >> 32 == mark:
            row = (slot & COUNT) << LINE
            if words[row + HIGH] == high and words[row + LOW] == low:
                return row
    return 0


def slot_for(row: int, low: int) -> int:
    """The slot of a row whose digest ends in `low`."""
    return (low & MARK) << 32 | row >> LINE


def insert(words: memoryview, directory: int, slot: int) -> int:
    """Put a slot in. Returns how many empty slots that took: 0 or 1. A slot that is there is left alone."""
    free = None
    for at in _path(words, directory, slot):
        found = words[at]
        if found == slot:
            return 0
        if found == BURIED and free is None:
            free = at
        if not found:
            words[at if free is None else free] = slot
            return int(free is None)
    raise ValueError("the directory is full")


def remove(words: memoryview, directory: int, slot: int) -> int:
    """Take a slot out. Returns how many slots that emptied."""
    for at in _path(words, directory, slot):
        found = words[at]
        if not found:
            return 0
        if found == slot:
            words[at] = BURIED
            return _empty_buried(words, directory, at)
    return 0


def _empty_buried(words: memoryview, directory: int, at: int) -> int:
    first = directory + SLOTS
    last = first + words[directory] - 1
    if words[first if at == last else at + 1]:
        return 0
    emptied = 0
    while words[at] == BURIED:
        words[at] = 0
        emptied += 1
        at = last if at == first else at - 1
    return emptied


def _path(words: memoryview, directory: int, slot: int) -> Iterator[int]:
    """The places where `slot` may be, nearest first."""
    capacity = words[directory]
    home = (slot >> 32) & (capacity - 1)
    for at in range(home, home + capacity):
        yield directory + SLOTS + (at & (capacity - 1))

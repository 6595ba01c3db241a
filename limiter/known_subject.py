"""What a worker remembers of a subject: its digest, and where its rows are.

A place that was found once is confirmed by a single read. A row holds its digest, so one that has passed to
another subject gives itself away; and an absence holds until the region's count of arrivals changes. Nothing
here is needed to be right, only to be quick, so those that were met first are forgotten when there are too
many, and all of them when another worker comes.

With a million subjects, whatever is touched has to come from far away, and the garbage collector walks over
every container. So what is known of one is a few words in a string of bytes, not an object with parts. And
a dictionary of a million takes some 40 ms to grow or to go, in which nothing else is served; so there are
many small ones.
"""

from hashlib import blake2b
from struct import Struct
from typing import Final

REMEMBERED: Final = 5 << 18  # subjects: 1.3 million, of some 200 bytes each with four workers
SHELVES: Final = 256  # a power of two
OWN: Final = 2
OTHERS: Final = 3
UNKNOWN: Final = ~0  # absent as of no arrival at all
TWO_WORDS: Final = Struct("<qq")

# The two words of the digest; the row in our own region, or 0; from OTHERS on the rows in the other regions,
# as `Region.row_of` says them, in the order of the table's list.
Known = tuple[int, ...]


def digest_of(subject: str) -> tuple[int, int]:
    """The digest of a subject, as two words."""
    high, low = TWO_WORDS.unpack(blake2b(subject.encode(), digest_size=16).digest())
    return high, low


class KnownSubjects:
    """The subjects asked for since the table's list of other regions has had this `version`."""

    __slots__ = ("_dropped", "_most", "_nowhere", "_shelves", "_words", "version")

    def __init__(self, *, remembered: int = REMEMBERED) -> None:
        self._most = remembered // SHELVES
        self._dropped: list[dict[str, bytes]] = []
        self._shelves: list[dict[str, bytes]] = []
        self.expect(0, version=0)

    def expect(self, others: int, *, version: int) -> None:
        """Begin anew: there are so many `others` now. What was known is thrown away little by little."""
        self.version = version
        self._words = Struct(f"{OTHERS + others}q")
        self._nowhere = (0, *[UNKNOWN] * others)
        self._dropped += filter(None, self._shelves)
        self._shelves = [{} for _ in range(SHELVES)]

    def get(self, subject: str) -> Known:
        """What is known of a subject, at least its digest."""
        shelf = self._shelves[hash(subject) & (SHELVES - 1)]
        line = shelf.get(subject)
        return self._meet(subject, shelf) if line is None else self._words.unpack(line)

    def _meet(self, subject: str, shelf: dict[str, bytes]) -> Known:
        if self._dropped:
            self._dropped.pop()
        if len(shelf) >= self._most:
            del shelf[next(iter(shelf))]
        known = (*digest_of(subject), *self._nowhere)
        shelf[subject] = self._words.pack(*known)
        return known

    def keep(self, subject: str, place: int, row: int) -> None:
        """Remember a row, which was found at `place`: `OWN`, or `OTHERS` and so many further."""
        shelf = self._shelves[hash(subject) & (SHELVES - 1)]
        line = shelf.get(subject)
        if line is not None:  # else it was forgotten while others were met
            words = [*self._words.unpack(line)]
            words[place] = row
            shelf[subject] = self._words.pack(*words)

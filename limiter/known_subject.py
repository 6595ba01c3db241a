"""What a worker remembers of a subject: its digest, and where its rows are.

A place that was found once is confirmed by a single read. A row holds its digest, so one that has passed to
another subject gives itself away; and an absence holds until the region's count of arrivals changes. Nothing
here is needed to be right, only to be quick, so what was not asked for lately is dropped.
"""

from hashlib import blake2b
from struct import Struct
from typing import Final

from limiter.region import ARRIVALS, Region

REMEMBERED: Final = 131_072  # subjects in each of two generations, of some 450 bytes each
UNKNOWN: Final = ~0  # absent as of no arrival at all
TWO_WORDS: Final = Struct("<qq")


class KnownSubject:
    """A subject's digest as two words, and its rows as last seen.

    `own` is its row in our own region, or 0. `rows` are those in the others, as `Region.row_of` says them,
    in the order of the table's list at `version`.
    """

    __slots__ = ("high", "low", "own", "rows", "version")

    def __init__(self, subject: str) -> None:
        digest = blake2b(subject.encode(), digest_size=16).digest()
        self.high, self.low = TWO_WORDS.unpack(digest)
        self.own = 0
        self.rows: list[int] = []
        self.version = 0

    def expect(self, regions: int, version: int) -> None:
        """Forget the rows in others: their list is now of this length and version."""
        self.rows = [UNKNOWN] * regions
        self.version = version

    def row_in(self, region: Region, index: int) -> int:
        """The row in `region`, the table's `index`-th, or a negative number where there is none."""
        row = self.rows[index]
        words = region.words
        if words[ARRIVALS] != ~row if row < 0 else words[row] != self.high:
            row = self.rows[index] = region.row_of(self.high, self.low)
        return row


class KnownSubjects:
    """The subjects asked for lately. When the young are many, they become the old and the old are dropped."""

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[str, KnownSubject] = {}
        self._old: dict[str, KnownSubject] = {}

    def get(self, subject: str) -> KnownSubject:
        """What is known of a subject, at least its digest."""
        known = self._young.get(subject)
        if known is None:
            known = self._old.get(subject) or KnownSubject(subject)
            if len(self._young) >= REMEMBERED:
                self._old, self._young = self._young, {}
            self._young[subject] = known
        return known

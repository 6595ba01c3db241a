"""The newest settlements of a journal file, in memory beside it until they are booked.

What was written a moment ago need not be read again, unframed, checked and decoded to be booked: it is here,
with the bytes where its frames end. It is a shortcut and nothing else. What is here is in the file as well,
and whoever does not find it here reads the file: for a database that was away, or a process that died.
"""

from typing import Final

from router.ledger.settlement import Settlement
from router.ledger.store import Batch

MOST_RECENT: Final = 2000
"""Settlements of a file that are kept, which take some 700 bytes each; with one more, all are dropped."""


class Recent:
    """Everything that was written behind byte `start` of one file."""

    __slots__ = ("_ends", "_most", "_settlements", "start")

    def __init__(self, most: int = MOST_RECENT) -> None:
        self.start = 0
        self._most = most
        # Two lists, for a pair would be one more object for the collector to follow.
        self._ends: list[int] = []
        self._settlements: list[Settlement] = []

    def add(self, settlement: Settlement, end: int) -> None:
        """Keep a settlement whose frame, the file's last now, ends at byte `end`."""
        ends = self._ends
        ends.append(end)
        self._settlements.append(settlement)
        if len(ends) > self._most:
            self._begin_anew(end)

    def take(self, file_id: str, booked: int) -> Batch | None:
        """Return what comes behind byte `booked`, and keep it no longer; `None` where that is not here."""
        ends, settlements, start = self._ends, self._settlements, self.start
        if booked != start or not ends:
            return None
        self._begin_anew(ends[-1])
        return Batch(file_id, start, self.start, tuple(zip(ends, settlements, strict=True)))

    def _begin_anew(self, start: int) -> None:
        self.start = start
        self._ends, self._settlements = [], []

"""What calls that have ended still hold of credit, as one sum for each row of the shared table.

A charge reaches the books a moment after its call has ended, and until then it stays held. Nobody asks again
whose it was: what becomes owed is added up by row, and freed together, once the books have taken all of it.
So nothing is left of a call when it ends, although thousands may be owed for.

The sums know their rows as a reservation does. A row that holds anything stays its subject's.
"""

from collections.abc import Mapping

from limiter.own_region import OwnRegion
from limiter.row import HELD


class LocalDebts:
    """Some of the `Debts` of the worker whose region is `own`: nano-dollars by row."""

    __slots__ = ("_by_row", "_own")

    def __init__(self, own: OwnRegion, by_row: Mapping[int, int]) -> None:
        self._own = own
        self._by_row = by_row

    def paid(self) -> None:
        """Free them; nothing is held any more by a table that is closed. See `Debts`."""
        by_row, self._by_row = self._by_row, {}
        if self._own.closed:
            return
        words = self._own.words
        for row, owed in by_row.items():
            words[row + HELD] -= owed

"""What was taken from the shared table, until it ends.

A reservation remembers the bucket it was written into, because what is given back must leave the same bucket:
use that was never made would else be forgotten at another moment than it was counted. Once that bucket is
too old to count there is nothing to give back. The rows stay ours that long: a call in flight pins its row.
"""

from collections.abc import Sequence
from typing import Final

from limiter.demand import EndedTwice, Use
from limiter.errors import TableClosed
from limiter.own_region import OwnRegion
from limiter.row import CELLS, HELD, IN_FLIGHT, LAST, REQUESTS, TOKENS, advance
from limiter.window import BUCKETS, RING

MOST_TOKENS: Final = 1 << 40  # per call: no provider's count, however wrong, can overflow a sum


# One subject's part: its row, the bucket that took the amounts, and the nano-dollars held (`None` where its
# credit is not counted). A named tuple would take several times as long to make.
Part = tuple[int, int, int | None]


class LocalReservation:
    """A `Reservation` from the shared table. It must end before its table is closed (`TableClosed` else).

    `calls`: 1, or 0 where it is only more credit for a call that is running; such a one is released, since
    nothing but what it holds keeps its rows. `uses` is empty where nothing is known exactly.
    """

    __slots__ = (
        "_bucket_seconds",
        "calls",
        "ended",
        "own",
        "parts",
        "tokens",
        "uses",
    )

    def __init__(self, own: OwnRegion, tokens: int, calls: int, bucket_seconds: float) -> None:
        self.parts: Sequence[Part] = ()
        self.uses: Sequence[Use | None] = ()
        self.tokens = tokens
        self.calls = calls
        self.ended = False
        self.own = own
        self._bucket_seconds = bucket_seconds

    def doubt_uses(self) -> None:
        """Tell nothing of windows with tokens that were there before: nobody has looked when those came.

        For a reservation of no tokens; one of no call has looked for nothing.
        """
        self.uses = [use if self.calls and use and not use[1] else None for use in self.uses]

    def settle(self, *, tokens: int, now: float, owed: int = 0) -> None:
        """End it with the tokens that were used. See `Reservation`; counts above 2^40 are taken for that."""
        if tokens < 0:
            raise ValueError(f"nobody uses {tokens} tokens")
        if not self.calls:
            raise ValueError("no call was taken that could be settled")
        if self.ended or self.own.closed:
            raise self._ended_wrongly()
        self.ended = True
        words = self.own.words
        surplus = (min(MOST_TOKENS, tokens)) - self.tokens
        for row, bucket, held in self.parts:
            if surplus < 0 and bucket >= words[row + LAST] - BUCKETS:
                words[row + CELLS + 2 * (bucket % RING) + 1] += surplus
                words[row + TOKENS] += surplus
            elif surplus > 0:
                newest = advance(words, row, int(now // self._bucket_seconds))
                words[row + TOKENS] += surplus
                words[row + CELLS + 2 * (newest % RING) + 1] += surplus
            if held is not None:
                if held != owed:
                    words[row + HELD] += owed - held
                if owed:
                    by_row = self.own.owed
                    by_row[row] = by_row.get(row, 0) + owed
            words[row + IN_FLIGHT] -= 1

    def release(self, *, now: float) -> None:  # noqa: ARG002 (what is given back goes where it came from)
        """End it as if it had never been. See `Reservation`."""
        if self.ended or self.own.closed:
            raise self._ended_wrongly()
        self.ended = True
        words = self.own.words
        for row, bucket, held in self.parts:
            if self.calls:
                if bucket >= words[row + LAST] - BUCKETS:
                    cell = row + CELLS + 2 * (bucket % RING)
                    words[cell] -= 1
                    words[cell + 1] -= self.tokens
                    words[row + REQUESTS] -= 1
                    words[row + TOKENS] -= self.tokens
                words[row + IN_FLIGHT] -= 1
            if held:
                words[row + HELD] -= held

    def _ended_wrongly(self) -> EndedTwice | TableClosed:
        if self.ended:
            return EndedTwice("this reservation was settled or released before")
        return TableClosed("the table was closed before this reservation ended")

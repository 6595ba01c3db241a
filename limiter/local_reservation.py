"""What was taken from the shared table, until it ends.

A reservation remembers the bucket it was written into, because what is given back must leave the same bucket:
use that was never made would else be forgotten at another moment than it was counted. Once that bucket is
too old to count there is nothing to give back. The rows stay ours that long: a call in flight pins its row.
"""

from collections.abc import Sequence
from typing import Final

from limiter.demand import EndedTwice, Use
from limiter.errors import TableClosed
from limiter.known_subject import Known
from limiter.own_region import OwnRegion
from limiter.row import CELLS, HELD, IN_FLIGHT, LAST, REQUESTS, TOKENS, advance
from limiter.window import BUCKETS, RING, seconds_until_forgotten

MOST_TOKENS: Final = 1 << 40  # per call: no provider's count, however wrong, can overflow a sum


# One subject's part: its row, the bucket that took the amounts, and the nano-dollars held (`None` where its
# credit is not counted). A named tuple would take several times as long to make.
Part = tuple[int, int, int | None]

# How a subject stood as its part was taken: requests and tokens in its windows.
Seen = tuple[int, int]


class LocalReservation:
    """A `Reservation` from the shared table. It must end before its table is closed (`TableClosed` else).

    `seen` has for each of its parts how the subject stood, `None` where that is not known exactly. `known`
    has for each what was known of the subject until the reservation stood; a call in flight needs none of
    that. `calls`: 1, or 0 where it is only more credit for a call that is running; such a one is released,
    since nothing but what it holds keeps its rows.
    """

    __slots__ = (
        "_bucket_seconds",
        "_owed",
        "_owing",
        "calls",
        "ended",
        "known",
        "own",
        "parts",
        "seen",
        "tokens",
    )

    def __init__(self, own: OwnRegion, tokens: int, calls: int, bucket_seconds: float) -> None:
        self.parts: list[Part] = []
        self.seen: list[Seen | None] = []
        self.known: list[Known] = []
        self.tokens = tokens
        self.calls = calls
        self.ended = False
        self.own = own
        self._owed = 0
        self._owing: list[int] = []
        self._bucket_seconds = bucket_seconds

    def uses(self, now: float) -> Sequence[Use | None]:
        """How the subjects stood: what it took itself is the newest in their windows. See `Reservation`."""
        if len(self.seen) != len(self.parts):
            return [None] * len(self.parts)  # it stood so near a limit that all cells were added up
        uses: list[Use | None] = []
        told, reset = None, 0.0  # all parts are of one bucket, but where a row is ahead of our time
        for (_, bucket, _), seen in zip(self.parts, self.seen, strict=True):
            if seen is None or (seen[1] and not self.tokens):
                uses.append(None)  # nobody looked, or not for when those tokens came
                continue
            if bucket != told:
                told = bucket
                reset = seconds_until_forgotten(
                    bucket, now=now, bucket_seconds=self._bucket_seconds
                )
            requests, tokens = seen
            uses.append((requests, tokens, reset, reset if tokens else 0.0))
        return uses

    def settle(self, *, tokens: int, now: float, owed: int = 0) -> None:
        """End it with the tokens that were used. See `Reservation`; counts above 2^40 are taken for that."""
        if tokens < 0:
            raise ValueError(f"nobody uses {tokens} tokens")
        if not self.calls:
            raise ValueError("no call was taken that could be settled")
        words = self._end()
        surplus = min(tokens, MOST_TOKENS) - self.tokens
        for row, bucket, held in self.parts:
            if surplus < 0 and bucket >= words[row + LAST] - BUCKETS:
                words[row + CELLS + 2 * (bucket % RING) + 1] += surplus
                words[row + TOKENS] += surplus
            elif surplus > 0:
                newest = advance(words, row, int(now // self._bucket_seconds))
                words[row + TOKENS] += surplus
                words[row + CELLS + 2 * (newest % RING) + 1] += surplus
            if held is not None and held != owed:
                words[row + HELD] += owed - held
            words[row + IN_FLIGHT] -= 1
        if owed:
            self._owed = owed
            self._owing = [row for row, _, held in self.parts if held is not None]
        # Thousands of debts may stand at a time, and nothing else of them is asked for again.
        self.parts, self.seen = [], []

    def paid(self) -> None:
        """Free the credit that was owed. See `Reservation`."""
        owed, self._owed = self._owed, 0
        if not owed or self.own.closed:
            return
        words = self.own.words
        for row in self._owing:
            words[row + HELD] -= owed

    def release(self, *, now: float) -> None:  # noqa: ARG002 (what is given back goes where it came from)
        """End it as if it had never been. See `Reservation`."""
        words = self._end()
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

    def _end(self) -> memoryview:
        if self.ended:
            raise EndedTwice("this reservation was settled or released before")
        if self.own.closed:
            raise TableClosed("the table was closed before this reservation ended")
        self.ended = True
        return self.own.words

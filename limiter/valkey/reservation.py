"""What was taken from the shared windows, until it ends, and what is noted when it does.

Ending must not wait (invariant I1), so it leaves a note, and the engine sends notes when it next talks to
the server. Notes may be lost with a connection, and none is ever sent twice unless twice is safe.
"""

from collections.abc import Callable, Sequence

import msgspec

from limiter.demand import EndedTwice, Use
from limiter.valkey.places import Part, Place


class Note(msgspec.Struct, frozen=True):
    """A correction for the subjects of one group, all of which share a slot.

    `requests_back` go back to `bucket`. So do `tokens` below zero; above zero they are counted now.
    A note without either only brings the gauges up to date, which every note does.
    """

    places: Sequence[Place]
    bucket: int = 0
    requests_back: int = 0
    tokens: int = 0

    def if_unanswered(self) -> "Note":
        """Return what to send when it is unknown whether this note arrived.

        Giving back twice would let too much through, counting twice only too little: so a debt is counted
        again, and what should have gone back stays counted until it expires.
        """
        if self.tokens > 0:
            return self
        return Note(self.places)


class Holding(msgspec.Struct, frozen=True):
    """One group of subjects that was taken from, and the bucket that it was written to."""

    group: Sequence[Part]
    bucket: int

    @property
    def places(self) -> list[Place]:
        """Where the subjects lie."""
        return [place for place, _ in self.group]


class ValkeyReservation:
    """A `Reservation` on the shared windows. Both ends return at once; the server hears shortly after.

    `taken_at`: the server's clock when it was taken, in Unix seconds. `tokens` were reserved for `calls`,
    which is 0 where it is only more credit for one that is running.
    """

    def __init__(
        self,
        holdings: Sequence[Holding],
        *,
        tokens: int,
        calls: int,
        taken_at: float,
        end: Callable[[Sequence[Holding], list[Note], int], None],
    ) -> None:
        self.tokens = tokens
        self.taken_at = taken_at
        self._calls = calls
        self._holdings = holdings
        self._end = end
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether it was settled or released."""
        return self._ended

    @property
    def uses(self) -> Sequence[Use | None]:
        """Nobody knows: the server tells only whether it fits."""
        return ()

    def settle(self, *, tokens: int, now: float, owed: int = 0) -> None:  # noqa: ARG002 - the server's clock counts
        """End it with the tokens that were really used. Raises `EndedTwice`."""
        if tokens < 0:
            raise ValueError(f"{tokens} tokens cannot have been used")
        if not self._calls:
            raise ValueError("no call was taken that could be settled")
        self._finish(requests_back=0, tokens=tokens - self.tokens, owed=owed)

    def release(self, *, now: float) -> None:  # noqa: ARG002 - the server's clock counts
        """End it as if it had never been. Raises `EndedTwice`."""
        self._finish(requests_back=self._calls, tokens=-self.tokens, owed=0)

    def _finish(self, *, requests_back: int, tokens: int, owed: int) -> None:
        if self._ended:
            raise EndedTwice("a reservation on the shared windows ends once")
        self._ended = True
        notes = [
            Note(holding.places, holding.bucket, requests_back, tokens)
            for holding in self._holdings
        ]
        self._end(self._holdings, notes, owed)

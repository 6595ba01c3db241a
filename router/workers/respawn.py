"""When a worker that ended is started anew, and when there is no point in trying.

The first time at once: a crash is rare, and every second without the worker costs. One that dies again soon
waits twice as long each time, up to a bound, so that a worker that cannot live does not keep the machine busy
with its births. Having served for a while wipes the slate clean.

A worker that ends before it ever listened, with the same fault again and again, has met something that only
an operator can mend.
"""

from typing import Final

import msgspec

STEADY_SECONDS: Final = 10.0
FIRST_DELAY_SECONDS: Final = 0.5
LONGEST_DELAY_SECONDS: Final = 30.0
HOPELESS_STARTS: Final = 3


class Life(msgspec.Struct, frozen=True):
    """How one worker fared: whether it came to listen, how long it lived, and what ended it."""

    listened: bool
    seconds: float
    fault: str


class Respawn:
    """The history of one seat, as far as it matters for its next worker.

    `hopeless` says that the last workers all failed to start with the same fault.
    """

    def __init__(self) -> None:
        self._short_lives = 0
        self._fault: str | None = None
        self._failed_starts = 0

    @property
    def hopeless(self) -> bool:
        """Whether the next start would fail like the last ones, as far as anybody can tell."""
        return self._failed_starts >= HOPELESS_STARTS

    def delay_after(self, life: Life) -> float:
        """Take note of a life that ended; return how many seconds to wait before the next begins."""
        self._count_start(life)
        if life.listened and life.seconds >= STEADY_SECONDS:
            self._short_lives = 0
        self._short_lives += 1
        if self._short_lives == 1:
            return 0.0
        # The exponent is bounded as well: a float would overflow after a thousand deaths.
        doublings = min(self._short_lives - 2, 16)
        return min(FIRST_DELAY_SECONDS * 2.0**doublings, LONGEST_DELAY_SECONDS)

    def _count_start(self, life: Life) -> None:
        if life.listened:
            self._fault, self._failed_starts = None, 0
        elif life.fault == self._fault:
            self._failed_starts += 1
        else:
            self._fault, self._failed_starts = life.fault, 1

"""How long answers are: the 95th percentile of the last few hundred.

A request that sets no cap could be answered at any length. Reserving the longest that is possible would let
hardly anybody in, reserving the mean would overshoot half of the time; the 95th percentile of
what the same key got from the same model is right nineteen times in twenty.

Lengths are kept as bytes, each an eighth of an octave, so that a history of 256 answers takes 256 bytes and
the percentile is at most 9 % and a token too high. A history forgets by count and not by time: a key that
comes back after a night asks for much the same as before.
"""

from math import ceil, log2
from typing import Final

_STEPS_PER_OCTAVE: Final = 8
_LARGEST_STEP: Final = 255  # of a byte: about four billion tokens
WINDOW: Final = 256
ANSWERS_NEEDED: Final = 20  # below that, one absurd answer would be the 95th percentile
_REFRESH_EVERY: Final = 16
_QUANTILE: Final = 0.95


def step_of(tokens: int) -> int:
    """Return a length in the form in which it is kept; below 1 counts as 1."""
    return min(ceil(_STEPS_PER_OCTAVE * log2(max(tokens, 1))), _LARGEST_STEP)


class LengthHistory:
    """The lengths of one kind of answer, in tokens: of the last `WINDOW`.

    `p95` is the length that 95 % of them did not exceed, as of at most 16 answers ago; 0 as long as there
    were less than `ANSWERS_NEEDED`.
    """

    __slots__ = ("_fresh_for", "_next", "_steps", "p95")

    def __init__(self) -> None:
        self._steps = bytearray()
        self._next = 0
        self._fresh_for = ANSWERS_NEEDED
        self.p95 = 0

    def __len__(self) -> int:
        return len(self._steps)

    def take(self, step: int) -> None:
        """Take in a length that was brought into form by `step_of`; one may be for several histories."""
        steps = self._steps
        if len(steps) < WINDOW:
            steps.append(step)
        else:
            steps[self._next] = step
            self._next = (self._next + 1) % WINDOW
        self._fresh_for -= 1
        if not self._fresh_for:
            rank = ceil(_QUANTILE * len(steps)) - 1
            self.p95 = ceil(2.0 ** (sorted(steps)[rank] / _STEPS_PER_OCTAVE))
            # A short history changes more with every answer, and is sorted in less time.
            self._fresh_for = max(1, len(steps) // _REFRESH_EVERY)

"""How many of the last attempts failed, over a window that slides.

Time is cut into slices, counted separately; a slice that has grown older than the window is emptied when its
place is needed. So counting costs the same however many there are, and the window is exact to one slice.
"""

from typing import Final

_SLICES: Final = 6


class FailureShare:
    """Counts outcomes over about the last `window` seconds (at most one slice, a sixth, less)."""

    __slots__ = ("_failed", "_newest", "_slice_seconds", "_total")

    def __init__(self, window: float) -> None:
        if window <= 0.0:
            raise ValueError("the window must be above zero")
        self._slice_seconds = window / _SLICES
        self._newest = 0
        self._total = [0] * _SLICES
        self._failed = [0] * _SLICES

    def observe(self, now: float, *, failed: bool) -> None:
        """Count one outcome at `now` (monotonic seconds)."""
        newest = int(now // self._slice_seconds)
        if newest != self._newest:
            self._advance(newest)
        place = self._newest % _SLICES
        self._total[place] += 1
        if failed:
            self._failed[place] += 1

    def read(self, now: float) -> tuple[int, int]:
        """Return how many outcomes there were, and how many of them failures."""
        self._advance(int(now // self._slice_seconds))
        return sum(self._total), sum(self._failed)

    def clear(self) -> None:
        """Forget everything."""
        self._total = [0] * _SLICES
        self._failed = [0] * _SLICES

    def _advance(self, newest: int) -> None:
        for number in range(max(self._newest + 1, newest - _SLICES + 1), newest + 1):
            self._total[number % _SLICES] = 0
            self._failed[number % _SLICES] = 0
        self._newest = max(self._newest, newest)

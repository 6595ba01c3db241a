"""Durations, millions of them, in a few kilobytes: counted in buckets that are narrow everywhere.

A bucket is one microsecond wide at the bottom and at most 1/128 of its value further up (the shape of HDR
histograms), so a percentile is never wrong by more than half a percent. Adding is one dictionary
update, whatever has been seen.
"""

from collections.abc import Iterator
from typing import Final

_BITS: Final = 7
_FINE: Final = 1 << _BITS


class Histogram:
    """Counts durations, given in seconds and resolved to microseconds."""

    __slots__ = ("_buckets", "count", "greatest", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.greatest = 0.0
        self._buckets: dict[int, int] = {}

    def add(self, seconds: float, times: int = 1) -> None:
        """Count a duration, `times` times; a negative one counts as none at all, that is 0."""
        microseconds = int(seconds * 1e6) if seconds > 0 else 0
        shift = microseconds.bit_length() - _BITS - 1
        index = microseconds if shift < 0 else (shift << _BITS) + (microseconds >> shift)
        self._buckets[index] = self._buckets.get(index, 0) + times
        self.count += times
        self.total += seconds * times
        self.greatest = max(self.greatest, seconds)

    @property
    def mean(self) -> float:
        """The mean in seconds; ZeroDivisionError when nothing was counted."""
        return self.total / self.count

    def percentile(self, share: float) -> float:
        """Return the duration within which a share (0 to 1) of all lie; ValueError when there are none."""
        for reached, seconds in self.steps():
            if reached >= share:
                return seconds
        raise ValueError("nothing was counted")

    def steps(self) -> Iterator[tuple[float, float]]:
        """Yield for each bucket, in order, the share of all up to its end, and its middle in seconds.

        The last one's middle is the greatest duration.
        """
        seen = 0
        for index in sorted(self._buckets):
            seen += self._buckets[index]
            if seen == self.count:
                yield 1.0, self.greatest
            else:
                yield seen / self.count, min(_middle(index), self.greatest)


def _middle(index: int) -> float:
    if index < 2 * _FINE:
        return (index + 0.5) / 1e6
    shift = (index >> _BITS) - 1
    least = (index - (shift << _BITS)) << shift
    return (least + (1 << shift) / 2) / 1e6

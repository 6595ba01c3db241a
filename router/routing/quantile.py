"""Percentiles of a time, as it is now: a histogram over a sliding window.

Buckets grow by a fixed ratio, so the error is the same two percent at 50 ms and at 50 s. The window is a row
of slices; the oldest falls off whole when a new one is opened. Into which bucket an answer falls is found out
when somebody needs to know, for all since then together: far more are observed than percentiles worked out.

How long should it be? A hedge delay needs the 95th percentile. From the last 400 samples its rank errs by a
point, and an error upwards costs more than one downwards gains: with the stragglers of
`tests/properties/test_hedge_delay.py`, the 99th percentile with hedging came to 1.35 times that without
stragglers. With 800 it was 1.31, with 1,600 1.29; an exactly known percentile gives 1.27.

But a long window is slow to forget, above all downwards: a 95th percentile stays up until 95 % of the slow
samples have left. So each slice of fifty samples, once full, is held against all before it: if the share
below their median is off by more than five standard deviations, the older slices are dropped at once. Chance
does that to one slice in a million, a shift by a factor of three to nearly every one, so it is followed
within two slices. The median is used because a few more stragglers do not move it.

Samples cut short by a cancellation are handled by `router.routing.survival`.
"""

from array import array
from collections import Counter, deque
from math import exp, floor, inf, log, log1p, nan, sqrt
from typing import Final

from router.routing.survival import position

_SMALLEST_SECONDS: Final = 1e-4
_REFRESHES_PER_WINDOW: Final = 16
_SHIFT_DEVIATIONS: Final = 5.0


class _Slice:
    """The buckets of some samples in a row, kept to be taken off again; `started` is when it was opened."""

    __slots__ = ("answered", "outlasted", "started")

    def __init__(self, started: float) -> None:
        self.started = started
        self.answered = array("i")
        self.outlasted = array("i")

    def __len__(self) -> int:
        return len(self.answered) + len(self.outlasted)


class SlidingQuantile:
    """Quantiles of durations over the last `window_seconds`, at most the last `window_samples`.

    `resolution` is the relative width of a bucket. Both kinds of samples count towards `least_samples`.
    Durations below 0.1 ms count as 0.1 ms.
    """

    __slots__ = (
        "_answered",
        "_count",
        "_fresh",
        "_growth",
        "_least_samples",
        "_opened",
        "_outlasted",
        "_q",
        "_room",
        "_slice_samples",
        "_slice_seconds",
        "_slices",
        "_slices_most",
        "_value",
        "_value_expires",
        "_window_seconds",
    )

    def __init__(
        self,
        *,
        window_seconds: float = 60.0,
        window_samples: int = 1600,
        slices: int = 32,
        resolution: float = 0.02,
        least_samples: int = 20,
    ) -> None:
        if min(window_seconds, resolution) <= 0.0 or slices < 1 or window_samples < slices:
            raise ValueError("a window needs a length, a resolution, and a sample for each slice")
        self._window_seconds = window_seconds
        self._slice_seconds = window_seconds / slices
        self._slice_samples = window_samples // slices
        self._growth = log1p(resolution)
        self._least_samples = least_samples
        self._slices_most = slices
        self._slices: deque[_Slice] = deque()
        self._room = 0  # for so many more samples the newest slice has a place
        self._opened = 0.0  # when it was opened
        self._fresh: list[float] = []  # answers in the newest slice that are in no bucket yet
        self._count = 0  # of the samples that are
        self._answered: Counter[int] = Counter()
        self._outlasted: Counter[int] = Counter()
        self._q = nan  # what was read last
        self._value: float | None = None
        self._value_expires = 0  # with so many more samples in buckets

    def observe(self, seconds: float, now: float) -> None:
        """Take in an answer that came after `seconds`. ValueError if they are negative or not finite."""
        if not 0.0 <= seconds < inf:
            raise _no_duration(seconds)
        if self._room <= 0 or now - self._opened >= self._slice_seconds:
            self._open_slice(now)
        self._room -= 1
        self._fresh.append(seconds)

    def observe_lower_bound(self, seconds: float, now: float) -> None:
        """Take in an attempt stopped after `seconds` without an answer. ValueError as for `observe`."""
        if not 0.0 <= seconds < inf:
            raise _no_duration(seconds)
        if self._room <= 0 or now - self._opened >= self._slice_seconds:
            self._open_slice(now)
        self._room -= 1
        bucket = floor(log(max(seconds, _SMALLEST_SECONDS)) / self._growth)
        self._slices[-1].outlasted.append(bucket)
        self._outlasted[bucket] += 1
        self._count += 1
        self._value_expires -= 1

    def read(self, q: float, now: float) -> float | None:
        """Return the seconds within which the share `q` (0 to 1) answers; None while too little is known."""
        if self._slices and self._slices[0].started <= now - self._window_seconds:
            self._drop_expired(now)
        fresh = len(self._fresh)
        if self._count + fresh < self._least_samples:
            return None
        if q != self._q or self._value_expires <= fresh:
            self._take_in()
            bucket = position(self._answered, self._outlasted, q)
            self._value = None if bucket is None else exp(bucket * self._growth)
            self._value_expires = self._count // _REFRESHES_PER_WINDOW
            self._q = q
        return self._value

    def _take_in(self) -> None:
        """Put the answers that are in no bucket yet into theirs."""
        if not self._fresh:
            return
        kept, answered = self._slices[-1].answered, self._answered
        for seconds in self._fresh:
            bucket = floor(log(max(seconds, _SMALLEST_SECONDS)) / self._growth)
            kept.append(bucket)
            answered[bucket] += 1
        self._count += len(self._fresh)
        self._value_expires -= len(self._fresh)
        self._fresh.clear()

    def _open_slice(self, now: float) -> None:
        self._take_in()
        if self._shifted():
            while len(self._slices) > 1:
                self._drop_oldest()
        if len(self._slices) == self._slices_most:
            self._drop_oldest()
        self._slices.append(_Slice(now))
        self._opened = now
        self._room = self._slice_samples

    def _shifted(self) -> bool:
        """Whether the newest slice's answers come from another distribution than all before."""
        if len(self._slices) < 2:
            return False
        newest = Counter(self._slices[-1].answered)
        answers = newest.total()
        before = self._answered.total() - answers
        if not answers or not before:
            return False
        lower = there = 0  # samples before, below the bucket looked at and in it
        for bucket in sorted(self._answered):
            there = self._answered[bucket] - newest[bucket]
            if 2 * (lower + there) >= before:
                break
            lower += there
        # Of the samples in the median's own bucket half count as below it: equal times are no shift.
        below = sum(count for other, count in newest.items() if other < bucket)
        off = (below + newest[bucket] / 2.0) / answers - (lower + there / 2.0) / before
        return abs(off) * 2.0 * sqrt(answers) > _SHIFT_DEVIATIONS

    def _drop_expired(self, now: float) -> None:
        self._take_in()
        while self._slices and self._slices[0].started <= now - self._window_seconds:
            self._drop_oldest()
        if not self._slices:
            self._room = 0

    def _drop_oldest(self) -> None:
        oldest = self._slices.popleft()
        self._count -= len(oldest)
        self._answered.subtract(oldest.answered)
        self._outlasted.subtract(oldest.outlasted)
        self._q = nan


def _no_duration(seconds: float) -> ValueError:
    return ValueError(f"a duration cannot be {seconds} seconds")

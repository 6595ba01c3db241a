"""A sliding window, counted in buckets and forgotten late.

Use is added up per bucket of a second, because remembering every request would cost memory without bound.
What a bucket has lost is the moment within its second, so it counts until its last moment is a whole window
ago: bucket b, which ends at (b + 1) seconds, counts until (b + 61). Use is thus forgotten up to a second
late and never early, and no true window of 60 seconds can hold more than its limit (invariant I2).

A ring of 64 cells keeps the 61 buckets that can count at once. The three to spare serve whoever decides with
a clock that was read a little before others wrote: what counts for them is still there.
"""

import math
from collections.abc import Iterable
from typing import Final, NamedTuple

from limiter.demand import WINDOW_SECONDS

BUCKETS: Final = 60
RING: Final = 64
SLACK: Final = RING - BUCKETS - 1
BUCKET_SECONDS: Final = WINDOW_SECONDS / BUCKETS


class Cell(NamedTuple):
    """What one bucket holds."""

    bucket: int
    requests: int
    tokens: int


class Usage(NamedTuple):
    """What a subject has in use: the cells that count, in any order, perhaps several of one bucket."""

    cells: list[Cell]
    in_flight: int
    held: int


def bucket_of(now: float, bucket_seconds: float) -> int:
    """The number of the bucket that `now` falls into."""
    return int(now // bucket_seconds)


def seconds_until_forgotten(bucket: int, *, now: float, bucket_seconds: float) -> float:
    """How long `bucket` still counts. At `now` plus this, as floats add up, it does not count any more."""
    end = bucket + BUCKETS + 1
    moment = end * bucket_seconds
    while moment // bucket_seconds < end:  # rounding must not leave us a hair before the end
        moment = math.nextafter(moment, math.inf)
    wait = max(0.0, moment - now)
    # In steps that count at the size of `now`, which grows with the machine's uptime.
    while now + wait < moment:
        wait += math.ulp(moment)
    return wait


def freed_with(amounts: Iterable[tuple[int, int]], excess: int) -> int | None:
    """The bucket whose end has freed at least `excess` of `amounts`, given as (bucket, amount).

    `None` if all of them together are less.
    """
    for bucket, amount in sorted(amounts):
        excess -= amount
        if amount and excess <= 0:
            return bucket
    return None

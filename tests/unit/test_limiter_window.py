"""The arithmetic of buckets: use is forgotten late, never early, and the moment is known exactly."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limiter.window import bucket_of, freed_with, seconds_until_forgotten

TIMES = st.floats(0.0, 1e8, allow_nan=False)
LENGTHS = st.sampled_from([0.01, 0.05, 0.1, 1 / 3, 1.0])


def counts(bucket: int, now: float, length: float) -> bool:
    return bucket_of(now, length) <= bucket + 60


@given(taken=TIMES, length=LENGTHS)
def test_i2_use_counts_for_at_least_a_whole_window_and_at_most_a_bucket_more(
    taken: float, length: float
) -> None:
    bucket = bucket_of(taken, length)
    rounding = 1e-7
    assert counts(bucket, taken + 60 * length - rounding, length)
    assert not counts(bucket, taken + 61 * length + rounding, length)


@given(taken=TIMES, passed=st.floats(0.0, 60.0), length=LENGTHS)
def test_use_is_forgotten_at_the_moment_that_was_told_and_not_before(
    taken: float, passed: float, length: float
) -> None:
    now = taken + passed * length
    bucket = bucket_of(taken, length)
    wait = seconds_until_forgotten(bucket, now=now, bucket_seconds=length)
    assert not counts(bucket, now + wait, length)
    assert counts(bucket, math.nextafter(now + wait, 0.0) - 1e-7, length)


def test_what_is_forgotten_needs_no_wait() -> None:
    assert seconds_until_forgotten(5, now=66.0, bucket_seconds=1.0) == 0.0
    assert seconds_until_forgotten(5, now=65.75, bucket_seconds=1.0) == 0.25


@pytest.mark.parametrize(
    ("excess", "bucket"), [(1, 3), (10, 3), (11, 7), (12, 7), (13, 9), (14, None)]
)
def test_as_much_as_is_needed_is_freed_oldest_first(excess: int, bucket: int | None) -> None:
    assert freed_with([(7, 2), (3, 10), (9, 1), (8, 0)], excess) == bucket


def test_amounts_of_one_bucket_count_together_also_those_that_take_away() -> None:
    assert freed_with([(3, 10), (3, -10), (5, 4)], 1) == 5
    assert freed_with([(3, 10), (3, -4), (5, 4)], 7) == 5

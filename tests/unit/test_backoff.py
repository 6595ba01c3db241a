"""The wait before another try: it grows, it is capped, and it is spread over its whole range."""

from itertools import pairwise
from random import Random

import pytest

from router.routing.backoff import backoff, doubled


class Highest(Random):
    """Draws the upper end of every range."""

    def random(self) -> float:
        return 1.0


class Lowest(Random):
    """Draws the lower end of every range."""

    def random(self) -> float:
        return 0.0


def test_the_bound_doubles_up_to_the_cap() -> None:
    waits = [backoff(attempt, Highest()) for attempt in range(7)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


@pytest.mark.parametrize("attempt", [0, 3, 1_000_000])
def test_jitter_reaches_down_to_nothing_and_up_to_the_bound(attempt: int) -> None:
    assert backoff(attempt, Lowest()) == 0.0
    assert 0.25 <= backoff(attempt, Highest()) <= 8.0


def test_callers_that_failed_together_do_not_come_back_together() -> None:
    rng = Random(1)
    waits = sorted(backoff(5, rng) for _ in range(1000))
    gaps = [later - earlier for earlier, later in pairwise(waits)]
    assert max(gaps) < 0.2
    assert waits[0] < 0.2
    assert waits[-1] > 7.8


@pytest.mark.parametrize(
    ("seconds", "times", "cap", "expected"),
    [(5.0, 0, 25.0, 5.0), (5.0, 2, 25.0, 20.0), (5.0, 3, 25.0, 25.0), (1.0, 10**9, 9.0, 9.0)],
)
def test_doubling_stops_at_the_cap(seconds: float, times: int, cap: float, expected: float) -> None:
    assert doubled(seconds, times, cap=cap) == expected

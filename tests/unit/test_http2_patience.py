"""How much useless work is borne: a store that empties, and fills again with time."""

import pytest

from router.front.http2.patience import MOST_AT_ONCE, PER_SECOND, Patience


def spent(patience: Patience, now: float, times: int) -> int:
    """How many of so many frames at one moment are borne."""
    return sum(patience.spend(now) for _ in range(times))


def test_it_bears_so_much_at_once_and_no_more() -> None:
    patience = Patience(100.0)
    assert spent(patience, 100.0, 2 * int(MOST_AT_ONCE)) == MOST_AT_ONCE


def test_it_bears_its_rate_for_ever() -> None:
    patience = Patience(0.0)
    assert spent(patience, 0.0, int(MOST_AT_ONCE)) == MOST_AT_ONCE
    for second in range(1, 1000):
        assert spent(patience, float(second), int(PER_SECOND)) == int(PER_SECOND)


@pytest.mark.parametrize("idle_seconds", [MOST_AT_ONCE / PER_SECOND, 1e6])
def test_it_is_never_greater_than_at_first(idle_seconds: float) -> None:
    patience = Patience(0.0)
    spent(patience, 0.0, int(MOST_AT_ONCE))
    assert spent(patience, idle_seconds, 2 * int(MOST_AT_ONCE)) == MOST_AT_ONCE

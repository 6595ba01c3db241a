"""How long to wait before trying again.

Waiting twice as long after each failure takes load off whoever is in trouble. Alone it does not suffice:
callers that failed together would come back together. So the wait is drawn at random between nothing and
the doubled bound ("full jitter", Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog,
2015), which spreads a crowd evenly over the whole time.
"""

from random import Random
from typing import Final

FIRST_SECONDS: Final = 0.25
LONGEST_SECONDS: Final = 8.0

_MOST_DOUBLINGS: Final = 64  # past every cap in use, and far from overflowing a float


def backoff(attempt: int, rng: Random) -> float:
    """Return the wait in seconds before trying again, after `attempt` earlier tries again (from 0)."""
    return rng.uniform(0.0, doubled(FIRST_SECONDS, attempt, cap=LONGEST_SECONDS))


def doubled(seconds: float, times: int, *, cap: float) -> float:
    """Return `seconds` doubled so many times, at most `cap`."""
    return min(cap, seconds * 2.0 ** min(times, _MOST_DOUBLINGS))

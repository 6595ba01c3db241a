"""What a simulated run leaves behind: plain counts, and one number for each answered request."""

from array import array
from collections import Counter
from math import ceil


class Figures:
    """The counts of one run, added to while it is played. Times are seconds of virtual time.

    `first_token` holds the time from arrival to the first token, for each answered request; `failed_at` when
    those arrived that nobody answered. `cost` counts a stopped attempt whole: who was not refused pays.
    """

    def __init__(self) -> None:
        self.requests = 0
        self.attempts = 0
        self.hedges = 0
        self.hedges_won = 0
        self.cost = 0.0
        self.first_token = array("d")
        self.failed_at = array("d")
        self.attempts_by_endpoint: Counter[str] = Counter()


def percentile(ordered: list[float], share: float) -> float | None:
    """Return the smallest value that `share` of all do not exceed; `None` without any (nearest rank)."""
    if not ordered:
        return None
    return ordered[max(1, ceil(share * len(ordered))) - 1]

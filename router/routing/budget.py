"""One purse for every attempt beyond the first.

Retries and hedges help while few requests need them, and kill when all do: a provider that is slow for
everyone would be asked twice by everyone. A count per request cannot see that. A budget can (Finagle's and
tower's retry budget): each client request pays in a small share of an attempt, each extra attempt takes a
whole one out, and so added load is bounded by construction, whatever the deciders believe.

Savings are capped at what about ten seconds of traffic paid in. That is enough to carry all calls that were
in flight when an endpoint died, at any size of deployment, and it keeps a day of health from being spent on
one bad minute.

A share of little is nothing, so there is a floor: one attempt per ten seconds, and a burst at once. Each
endpoint that dies costs five before it is ejected, so ten carry two of them; the configuration's default is
a hundred, because a provider that goes down takes all of its endpoints along. The floor is for retries
alone: a hedge is a luxury, which nobody borrows for. And it lends, it does not give: while it is owed,
deposits pay it back. A busy gateway therefore stays at its share (only a constant number of attempts
above), and a tiny one, which can never pay back, may still retry; its debt is capped.
"""


class AttemptBudget:
    """Decides whether one more upstream attempt may start.

    Over every run so far: attempts granted <= ratio x requests + burst + floor_per_second x elapsed seconds.
    Where traffic pays in faster than the floor lends, the last term falls away.

    `ratio`: attempts per client request; `floor_per_second` and `burst`: attempts; `savings_seconds`: how
    much traffic the savings may stand for (between one and two times this, but at least `burst`).
    """

    __slots__ = (
        "_burst",
        "_floor",
        "_floor_per_second",
        "_floor_updated",
        "_ratio",
        "_requests",
        "_requests_before",
        "_saved",
        "_savings_seconds",
        "_slot",
    )

    def __init__(
        self,
        *,
        ratio: float = 0.05,
        floor_per_second: float = 0.1,
        burst: float = 10.0,
        savings_seconds: float = 10.0,
    ) -> None:
        if min(ratio, floor_per_second, burst) < 0.0 or savings_seconds <= 0.0:
            raise ValueError("a budget's figures cannot be negative, nor its savings_seconds zero")
        self._ratio = ratio
        self._floor_per_second = floor_per_second
        self._burst = burst
        self._savings_seconds = savings_seconds
        self._saved = 0.0
        self._floor = burst
        self._floor_updated: float | None = None
        self._slot = 0
        self._requests = 0
        self._requests_before = 0

    def deposit(self, now: float) -> None:
        """Pay in for one client request. Call it once a request, however many attempts that takes."""
        slot = int(now // self._savings_seconds)
        if slot != self._slot:
            self._requests_before = self._requests if slot == self._slot + 1 else 0
            self._requests = 0
            self._slot = slot
        self._requests += 1
        most = max(self._burst, self._ratio * (self._requests + self._requests_before))
        self._saved = min(most, self._saved + self._ratio)

    def try_spend(self, now: float) -> bool:
        """Take out one attempt, or return False and take nothing."""
        self._refill_floor(now)
        if self._saved >= 1.0:
            self._saved -= 1.0
            return True
        if self._floor >= 1.0:
            self._floor -= 1.0
            self._saved = max(-self._burst, self._saved - 1.0)
            return True
        return False

    def try_spend_saved(self) -> bool:
        """Take out one attempt that traffic has paid for, or return False: hedges may not borrow."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True

    def _refill_floor(self, now: float) -> None:
        if self._floor_updated is not None:
            elapsed = max(0.0, now - self._floor_updated)
            self._floor = min(self._burst, self._floor + elapsed * self._floor_per_second)
        self._floor_updated = now

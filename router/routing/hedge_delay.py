"""When a second attempt is worth starting: the delay of the hedge, learned from the endpoint itself.

A hedge starts when the first attempt has outlasted nearly all its like: after the 95th percentile of time
to first token of this model at this endpoint. Why that one? Hedging after the quantile `q` costs `1 - q` of
the requests, and the sooner a hedge starts, the more it saves. So the best `q` is the one that spends the
whole budget of 5 %. There is no need to aim below it: the quantile's error evens out in what it costs, and
the budget clips the rest. With the stragglers of `tests/properties/test_hedge_delay.py` the 99th percentile
came to 1.29 times that without stragglers, and to 1.41 with q = 0.96; with q = 0.94 the budget had to refuse
one hedge in six, whichever it was, and nothing was gained.

To ask the budget again later, when it has refused, was tried and gained nothing either: what one straggler
gets, the next one lacks.

A delay once known stays in force when the window has run dry (a quiet hour, or an endpoint that answers
nobody any more): an old percentile is a better guess than none, and the budget bounds what a bad guess costs.
"""

from typing import Final

from router.routing.quantile import SlidingQuantile

# In sixty seconds, an endpoint with two calls a second yields too few samples.
_WINDOW_SECONDS: Final = 300.0


class HedgeDelay(SlidingQuantile):
    """The hedge delay of one model at one endpoint. All times are seconds.

    `quantile`: share of attempts that should answer unhedged; `minimum`: a shorter delay is never given,
    lest mere jitter be hedged; `least_samples`: no hedging before so many are known.

    Tell it about every attempt, primaries and hedges alike: `observe` when the first token came;
    `observe_lower_bound` when the attempt was stopped before (it lost, the client left, a limit was hit),
    with the time since that attempt's own start. An attempt that failed by itself says nothing about time.
    """

    __slots__ = ("_known", "_minimum", "_quantile")

    def __init__(
        self,
        *,
        quantile: float = 0.95,
        minimum: float = 0.05,
        least_samples: int = 20,
        window_seconds: float = _WINDOW_SECONDS,
    ) -> None:
        if not 0.0 < quantile < 1.0:
            raise ValueError("a hedge's quantile lies between 0 and 1")
        super().__init__(window_seconds=window_seconds, least_samples=least_samples)
        self._quantile = quantile
        self._minimum = minimum
        self._known: float | None = None

    def after(self, now: float) -> float | None:
        """Return how long after an attempt's start to hedge it; None while too little is known."""
        delay = self.read(self._quantile, now)
        if delay is not None:
            self._known = max(self._minimum, delay)
        return self._known

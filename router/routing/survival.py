"""How long attempts last, learned also from those that were stopped.

In a race the slow attempts are mostly cancelled: of a loser only the time it had run is known, and that its
answer would have come later. Such a censored sample must not be taken for an answer: a hedge cancelled after
20 ms would look like a fast one and drag the percentiles down, hence more hedges, hence more of them. Nor
must it be dropped: the slow primaries are the ones that lose, and without them the tail leaves the picture,
the delay shrinks, and the budget is gone.

Kaplan and Meier's product-limit estimate (1958) treats both rightly: an attempt stopped at `t` counts among
those that might have answered up to `t`, and after it says nothing. In Efron's words, its weight is
redistributed to the right. It holds as long as what stops an attempt (here: another endpoint's answer) does
not know how long that attempt would have lasted.

One phantom attempt that never ends is added. It makes the estimate honest for few samples: the expected share
of attempts beyond the quantile `q` is then `1 - q`, not more (Weibull's plotting position k / (n + 1)), and
a hedge delay spends from the first minute what it says that it spends.
"""

from bisect import bisect_left
from collections.abc import Mapping


class SurvivalCurve:
    """The share of attempts that have answered, by time; times are numbered buckets.

    `answered` and `outlasted` map a bucket to how many attempts answered in it, or were stopped in it.
    """

    __slots__ = ("_buckets", "_shares")

    def __init__(self, answered: Mapping[int, int], outlasted: Mapping[int, int]) -> None:
        self._buckets: list[int] = []
        self._shares: list[float] = []
        running = sum(answered.values()) + sum(outlasted.values()) + 1
        lasting = 1.0
        for bucket in sorted(answered.keys() | outlasted.keys()):
            answers = answered.get(bucket, 0)
            if answers:
                lasting *= 1.0 - answers / running
                self._buckets.append(bucket)
                self._shares.append(1.0 - lasting)
            running -= answers + outlasted.get(bucket, 0)

    def position(self, q: float) -> float | None:
        """Return where the share `q` has answered, in buckets, interpolated within the bucket.

        If so many never answer that the curve does not reach `q`: the end of the slowest answer's bucket, as
        nothing shows that waiting longer has ever paid. None without any answer.
        """
        if not self._buckets:
            return None
        index = bisect_left(self._shares, q)
        if index == len(self._shares):
            return self._buckets[-1] + 1.0
        before = self._shares[index - 1] if index else 0.0
        part = (q - before) / (self._shares[index] - before)
        return self._buckets[index] + part

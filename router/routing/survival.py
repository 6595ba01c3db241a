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

from collections.abc import Mapping
from math import inf
from typing import Final

# Shares that differ by less are equal but for the order in which they were worked out.
_ROUNDING: Final = 1e-9


def position(answered: Mapping[int, int], outlasted: Mapping[int, int], q: float) -> float | None:
    """Return where the share `q` of attempts has answered, in buckets of time, interpolated within one.

    `answered` and `outlasted` map a bucket to how many attempts answered in it, or were stopped in it. If so
    many never answer that the share is not reached: the end of the slowest answer's bucket, as nothing shows
    that waiting longer has ever paid. None without any answer.
    """
    buckets = sorted(answered)
    fastest = next((bucket for bucket in buckets if answered[bucket]), None)
    if fastest is None:
        return None
    # What was stopped before anything answered says nothing.
    stops = {bucket: n for bucket, n in outlasted.items() if n and bucket >= fastest}
    if stops:
        buckets = sorted(answered.keys() | stops.keys())
    attempts = sum(answered.values()) + sum(stops.values()) + 1
    # Up to the first that was stopped, the share is simply that of all who answered. So the walk begins as
    # high up as it can: what a hedge delay asks for is near the top.
    first_stop = min(stops, default=inf)
    running, place, any_answer = 1, len(buckets), 0
    while place:
        place -= 1
        bucket = buckets[place]
        answers = answered.get(bucket, 0)
        any_answer = any_answer or answers
        running += answers + stops.get(bucket, 0)
        if any_answer and bucket <= first_stop and 1.0 - running / attempts < q - _ROUNDING:
            break
    share = 1.0 - running / attempts
    slowest = fastest
    for bucket in buckets[place:]:
        answers = answered.get(bucket, 0)
        if answers:
            before, slowest = share, bucket
            share = 1.0 - (1.0 - share) * (1.0 - answers / running)
            if share >= q - _ROUNDING:
                return bucket + min(1.0, (q - before) / (share - before))
        running -= answers + stops.get(bucket, 0)
    return slowest + 1.0

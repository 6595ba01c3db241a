"""The power of two choices, repeated to give a whole order.

Draw two at random, take the one with less load (Mitzenmacher, "The Power of Two Choices in Randomized Load
Balancing", 2001). Always taking the best would send every worker's every request to the same endpoint until
the next measurement; the better of two random ones balances nearly as well and never stampedes.

Retries and hedges need a second and a third choice. So all candidates are drawn, one after the other, each
in proportion to its weight; the one in hand is compared with the next, the better goes out and the other
stays in hand. The worst of all sinks to the end.

Weight counts twice. It brings a candidate to the front, and a lighter one that would overtake a heavier has
to be better by as much as it is lighter. Otherwise two candidates, which always meet, would share evenly
whatever their weights.
"""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

from router.routing.plan import CandidateView

C = TypeVar("C")


def drawn(views: Sequence[CandidateView[C]], rng: Random) -> list[CandidateView[C]]:
    """Order by repeated choice of two.

    Sorting by exponential variates with the weights as rates is drawing one after the other in
    proportion to weight (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
    """
    return compared(sorted(views, key=lambda view: rng.expovariate(view.weight)))


def compared(views: Sequence[CandidateView[C]]) -> list[CandidateView[C]]:
    """Order by repeated choice of two what comes in an order that was drawn."""
    line = iter(views)
    in_hand = next(line, None)
    if in_hand is None:
        return []
    chosen: list[CandidateView[C]] = []
    for other in line:
        if other.cost * handicap(other.weight, in_hand.weight) < in_hand.cost:
            chosen.append(other)
        else:
            chosen.append(in_hand)
            in_hand = other
    chosen.append(in_hand)
    return chosen


def handicap(weight: float, in_hand: float) -> float:
    """Return by how much better one of this weight must be to overtake the one in hand, of that weight."""
    return in_hand / weight if in_hand > weight else 1.0

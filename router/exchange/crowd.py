"""A large tier, from which a few are drawn instead of looking at everybody.

The policy looks at candidates in a random order, each in proportion to its weight, and compares neighbours
(`router.routing.two_choices`). Whom it asks first depends on the first few of that order alone. So for a
request that will ask a few at most, a few drawn in the same way are as good as the whole tier, and what a
request costs does not grow with the number of candidates.
"""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Final

from router.catalog.candidate import Candidate
from router.exchange.live import LiveEndpoint

# Below this, everybody is looked at: to draw would save nothing.
LEAST_MEMBERS: Final = 16
_MOST_DRAWS: Final = 4  # for each that is wanted, since the same may be drawn again


class Crowd:
    """One tier of a route, made ready to be drawn from; `tier` is what it was made of."""

    def __init__(self, tier: tuple[Candidate, ...], members: Sequence[LiveEndpoint]) -> None:
        self.tier = tier
        self._members = members
        self._ends = list(accumulate(member.endpoint.weight for member in members))

    def draw(self, rng: Random, wanted: int | None) -> Sequence[LiveEndpoint]:
        """Return so many members, each drawn in proportion to its weight from those that are left.

        Everybody, in an order drawn in the same way, for `None`; also where there are not that many, or
        where a few outweigh all others by far.
        """
        members = self._members
        if wanted is not None and wanted < len(members):
            places: dict[int, None] = {}
            for _ in range(_MOST_DRAWS * wanted):
                place = bisect(self._ends, rng.random() * self._ends[-1])
                places[min(place, len(members) - 1)] = None
                if len(places) == wanted:
                    return [members[place] for place in places]
        return sorted(members, key=lambda member: rng.expovariate(member.endpoint.weight))

"""A tier, from which a few are drawn instead of looking at everybody.

The policy looks at candidates in a random order, each in proportion to its weight, and compares neighbours
(`router.routing.two_choices`). Whom it asks first depends on the first two of that order alone, and most
requests are served by whom they ask first. So two are drawn to begin with. Who else there is comes up when
somebody is to join or to follow the first; and since a request asks a few at most, a few drawn in the same
way are then as good as the whole of a large tier. So what a request costs does not grow with the candidates.

In a small tier one that is due for a probe goes before all others, whoever is drawn. So the short way is
taken there only while nothing is known against anybody.
"""

from bisect import bisect
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Final

from router.catalog.candidate import Candidate
from router.exchange.live import Form, LiveEndpoint
from router.routing.availability import Availability, Standing
from router.routing.two_choices import handicap

# Below this, everybody is looked at: to draw would save nothing.
LEAST_MEMBERS: Final = 16
_MOST_DRAWS_FOR_FIRST: Final = 16
_MOST_DRAWS: Final = 4  # for each that is wanted, since the same may be drawn again


class Crowd:
    """One tier of a route, made ready to be drawn from; `tier` is what it was made of."""

    def __init__(self, tier: tuple[Candidate, ...], members: Sequence[LiveEndpoint]) -> None:
        self.tier = tier
        self._members = members
        self._pictures = [member.picture for member in members]
        self._ends = list(accumulate(member.endpoint.weight for member in members))
        self._whole = self._ends[-1]  # the weight of all
        self._last = len(members) - 1

    def first(self, form: Form, *, rng: Random, now: float) -> LiveEndpoint | None:
        """Return whom the policy would ask first, `None` where that takes a look at all."""
        if self._last == 0 and self._pictures[0].is_well(now):
            return self._members[0]
        if self._last < LEAST_MEMBERS - 1 and not self._are_well(now):
            return None
        seen: set[int] = set()
        in_hand: LiveEndpoint | None = None
        for _ in range(_MOST_DRAWS_FOR_FIRST):
            place = self._drawn_place(rng)
            if place in seen:
                continue
            seen.add(place)
            member = self._members[place]
            if not self._pictures[place].is_well(now):
                availability = member.availability(now)
                if availability.standing is Standing.PROBE:
                    return None
                if not _takes_part(availability, rng):
                    continue
            if in_hand is None:
                in_hand = member
                continue
            must_be_better = handicap(member.endpoint.weight, in_hand.endpoint.weight)
            overtakes = member.cost(form, now) * must_be_better < in_hand.cost(form, now)
            return member if overtakes else in_hand
        return None

    def draw(self, rng: Random, wanted: int | None) -> Sequence[LiveEndpoint]:
        """Return so many members, each drawn in proportion to its weight from those that are left.

        Everybody, in an order drawn in the same way, for `None`; also where there are not that many, or
        where a few outweigh all others by far.
        """
        members = self._members
        if wanted is not None and wanted < len(members):
            places: dict[int, None] = {}
            for _ in range(_MOST_DRAWS * wanted):
                places[self._drawn_place(rng)] = None
                if len(places) == wanted:
                    return [members[place] for place in places]
        return sorted(members, key=lambda member: rng.expovariate(member.endpoint.weight))

    def _are_well(self, now: float) -> bool:
        return all(picture.is_well(now) for picture in self._pictures)

    def _drawn_place(self, rng: Random) -> int:
        return bisect(self._ends, rng.random() * self._whole, 0, self._last)


def _takes_part(availability: Availability, rng: Random) -> bool:
    """Tell whether one that is drawn can go first; one that recovers does in a share of the draws."""
    if availability.standing is not Standing.USABLE:
        return False
    return availability.share >= 1.0 or rng.random() < availability.share

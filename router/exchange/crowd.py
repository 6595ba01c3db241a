"""A tier, from which a few are drawn instead of looking at everybody.

The policy looks at candidates in a random order, each in proportion to its weight, and compares neighbours
(`router.routing.two_choices`). Whom it asks first depends on the first two of that order alone, and most
requests are served by whom they ask first. So two are drawn to begin with. Who else there is comes up when
somebody is to join or to follow the first; and since a request asks a few at most, a few drawn in the same
way are then as good as the whole of a large tier. So what a request costs does not grow with the candidates.

In a small tier one that is due for a probe goes before all others, whoever is drawn. So the short way is
taken there only while nothing is known against anybody.
"""

from array import array
from bisect import bisect
from collections.abc import Iterable, Sequence
from itertools import accumulate
from random import Random
from typing import Final

from router.catalog.candidate import Candidate
from router.exchange.live import FORMS, Contender, Form, LiveEndpoint
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
        self._lines: dict[Form, list[Contender]] = {
            form: [member.contender(form) for member in members] for form in FORMS
        }
        weights = [member.endpoint.weight for member in members]
        self._are_equal = min(weights) == max(weights)
        self._ends = array("d", accumulate(weights))
        self._whole = self._ends[-1]  # the weight of all
        self._last = len(members) - 1

    def first(self, form: Form, *, rng: Random, now: float) -> Contender | None:
        """Return whom the policy would ask first, `None` where that takes a look at all."""
        line = self._lines[form]
        are_few = self._last < LEAST_MEMBERS - 1
        if are_few and not _are_well(line, now):
            return None
        if self._last == 0:
            return line[0]
        seen: set[int] = set()
        in_hand: Contender | None = None
        for _ in range(_MOST_DRAWS_FOR_FIRST):
            place = self._drawn_place(rng)
            if place in seen:
                continue
            seen.add(place)
            one = line[place]
            if not (are_few or one.picture.is_well(now)):
                availability = one.availability(now)
                if availability.standing is Standing.PROBE:
                    return None
                if not _takes_part(availability, rng):
                    continue
            if in_hand is not None:
                return one if self._overtakes(one, in_hand, now) else in_hand
            in_hand = one
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

    def _drawn_place(self, rng: Random) -> int:
        if self._are_equal:
            return int(rng.random() * len(self._ends))
        return bisect(self._ends, rng.random() * self._whole, 0, self._last)

    def _overtakes(self, one: Contender, in_hand: Contender, now: float) -> bool:
        cost = one.cost(now)
        if not self._are_equal:
            cost *= handicap(one.live.endpoint.weight, in_hand.live.endpoint.weight)
        return cost < in_hand.cost(now)


def _are_well(line: Iterable[Contender], now: float) -> bool:
    for one in line:  # noqa: SIM110 - without a generator: it is asked for every request
        if not one.picture.is_well(now):
            return False
    return True


def _takes_part(availability: Availability, rng: Random) -> bool:
    """Tell whether one that is drawn can go first; one that recovers does in a share of the draws."""
    if availability.standing is not Standing.USABLE:
        return False
    return availability.share >= 1.0 or rng.random() < availability.share

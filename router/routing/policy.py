"""Who is asked first.

Candidates stand in tiers, and tiers never mix. Within a tier the order is a draw (see `two_choices`), unless
the request wants to go by price, latency or throughput, or to where its prompt was read before.

A recovering endpoint takes part in only a share of the draws. One that is due for a probe goes first, for
one request, and that request meets no second probe on its way while something usable is left. Ejected ones
are drawn too, so that a crowd with nowhere else to go spreads over all of them.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from random import Random
from typing import Any, Final, TypeVar

from router.routing.availability import Standing
from router.routing.plan import CandidateView, Later, Plan, Preference, Sort, Tier
from router.routing.sticky import score
from router.routing.two_choices import compared, drawn

C = TypeVar("C")

# The owner of a prompt's beginning is passed over if it has so many requests in flight and also costs
# so many times the best. Both, for an idle endpoint's latency fades, and would look better than any other.
BUSY_IN_FLIGHT: Final = 8
BUSY_COST: Final = 4.0

_UNKNOWN: Final = float("inf")


def order(
    views: Iterable[CandidateView[C]], *, rng: Random, preference: Preference | None = None
) -> Plan[C]:
    """Return whom to ask, in which order, and whom not before when. The same `rng` gives the same plan."""
    wish = preference or Preference()
    by_tier = groupby(sorted(views, key=_tier), key=_tier)
    tiers: list[Tier[C]] = []
    first = True
    for level, members in by_tier:
        tier = _tier_plan(level, list(members), rng, wish, may_lead=first)
        first = first and not tier.usable
        tiers.append(tier)
    return Plan(tuple(tiers))


def _tier(view: CandidateView[C]) -> int:
    return view.tier


def _tier_plan(
    level: int,
    members: Sequence[CandidateView[C]],
    rng: Random,
    wish: Preference,
    *,
    may_lead: bool,
) -> Tier[C]:
    """Plan one tier. `may_lead`: whether a probe may go first in it."""
    by_standing: tuple[list[CandidateView[C]], ...] = ([], [], [], [], [])
    for view in members:
        by_standing[view.availability.standing].append(view)
    probes, ejected = by_standing[Standing.PROBE], by_standing[Standing.EJECTED]
    if not wish.may_probe:
        probes, ejected = [], ejected + probes
    usable = _usable(by_standing[Standing.USABLE], probes, rng, wish)
    return Tier(
        level=level,
        usable=tuple(view.candidate for view in _discipline(usable, wish, may_lead=may_lead)),
        last_resorts=tuple(_later(_preferred(_drawn(ejected, rng, wish), wish))),
        parked=tuple(_later(sorted(by_standing[Standing.PARKED], key=_until))),
        dead=tuple(_later(sorted(by_standing[Standing.DEAD], key=_until))),
    )


def _usable(
    usable: Sequence[CandidateView[C]],
    probes: Sequence[CandidateView[C]],
    rng: Random,
    wish: Preference,
) -> list[CandidateView[C]]:
    """Order what may be asked now; recovering endpoints that sit this one out come after the others."""
    taking_part = list(probes)
    sitting_out: list[CandidateView[C]] = []
    for view in usable:
        share = view.availability.share
        group = taking_part if share >= 1.0 or rng.random() < share else sitting_out
        group.append(view)
    return [
        *_preferred(_drawn(taking_part, rng, wish), wish),
        *_preferred(_drawn(sitting_out, rng, wish), wish),
    ]


def _drawn(
    views: Sequence[CandidateView[C]], rng: Random, wish: Preference
) -> list[CandidateView[C]]:
    return compared(views) if wish.is_drawn else drawn(views, rng)


def _preferred(line: list[CandidateView[C]], wish: Preference) -> list[CandidateView[C]]:
    """Apply what the request prefers; among equals the order of the draw stands."""
    if wish.sort is not Sort.LOAD:
        return sorted(line, key=_SORT_KEYS[wish.sort])
    if wish.prefix is None or len(line) < 2:
        return line
    owner = _owner(line, wish.prefix)
    if _is_busy(owner, line):
        return line
    return [owner, *(view for view in line if view is not owner)]


def _owner(views: Iterable[CandidateView[C]], prefix: int) -> CandidateView[C]:
    return max(views, key=lambda view: score(prefix, view.place, view.weight))


def _is_busy(owner: CandidateView[C], views: Iterable[CandidateView[C]]) -> bool:
    known = (view.cost for view in views if view.availability.standing is not Standing.PROBE)
    best = min(known, default=_UNKNOWN)
    return owner.in_flight >= BUSY_IN_FLIGHT and owner.cost > BUSY_COST * best


def _discipline(
    ordered: list[CandidateView[C]], wish: Preference, *, may_lead: bool
) -> list[CandidateView[C]]:
    """Put at most one probe first, and all others behind what is known to work.

    Where the request cares who serves it, a probe leads only from the place that it has anyway.
    """
    probes = [view for view in ordered if view.availability.standing is Standing.PROBE]
    if not probes:
        return ordered
    indifferent = wish.sort is Sort.LOAD and wish.prefix is None
    leads = may_lead and (indifferent or ordered[0] is probes[0])
    known = [view for view in ordered if view.availability.standing is not Standing.PROBE]
    return [probes[0], *known, *probes[1:]] if leads else [*known, *probes]


def _later(views: Iterable[CandidateView[C]]) -> Iterable[Later[C]]:
    return (Later(view.candidate, view.availability.until) for view in views)


def _until(view: CandidateView[C]) -> float:
    return view.availability.until


_SORT_KEYS: Final[dict[Sort, Callable[[CandidateView[Any]], float]]] = {
    Sort.PRICE: lambda view: _UNKNOWN if view.price is None else view.price,
    Sort.LATENCY: lambda view: view.latency,
    Sort.THROUGHPUT: lambda view: _UNKNOWN if view.throughput is None else -view.throughput,
}

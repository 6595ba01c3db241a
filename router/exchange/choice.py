"""From a route to a line of contenders: who may serve this request, tier by tier, best first.

The policy orders what is known of every candidate at this moment; what a request wishes goes before. Requests
whose prompts begin alike go to the same place where that is cheaper, because a provider that has read the
beginning before charges less for it.
"""

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Final

import msgspec

from adapters.dialect import BadCall, Call, FilesWanted
from router.catalog.candidate import Candidate
from router.catalog.routes import Route, distinct_tiers
from router.catalog.wishes import NO_WISH, Wish
from router.exchange.crowd import LEAST_MEMBERS, Crowd
from router.exchange.live import Contender, Form, LiveEndpoint, LiveEndpoints
from router.routing.availability import Standing
from router.routing.plan import CandidateView, Preference, Sort, Tier
from router.routing.policy import order
from router.routing.sticky import fingerprint

# Providers cache from about 1,024 tokens on; a shorter beginning says too little about the rest.
PREFIX_BYTES: Final = 4096

_MOST_CROWDS: Final = 1000

Tiers = list[list[Contender]]
"""Who may serve a request, tier by tier, best first."""

_SORTS: Final = {"price": Sort.PRICE, "latency": Sort.LATENCY, "throughput": Sort.THROUGHPUT}


class Choice:
    """Chooses for all requests of a process. `attempts` is how many one race makes at most."""

    def __init__(self, live: LiveEndpoints, *, attempts: int, rng: Random) -> None:
        self._live = live
        self._attempts = attempts
        self._rng = rng
        self._crowds: dict[int, Crowd] = {}

    def head(
        self, route: Route, call: Call, wish: Wish, now: float
    ) -> tuple[Tiers, Callable[[float], Tiers] | None]:
        """Return who begins a race, and how to learn of all its tiers, `None` where that is everybody.

        The head is a single contender where the others do not matter yet: most races end with it.
        """
        form: Form = "stream" if call.stream else "whole"
        first_tier = route.tiers[0]
        if len(first_tier) == 1 and len(route.tiers) == 1:
            return [[self._live.of(first_tier[0]).contender(form)]], None  # nothing to choose
        if not _is_indifferent(route, call, wish):
            return self.contenders(route, call, wish, now), None
        first = self._crowd_of(first_tier).first(form, rng=self._rng, now=now)
        if first is None:
            return self.contenders(route, call, wish, now), None
        return [[first]], partial(self.contenders, route, call, wish)

    def contenders(self, route: Route, call: Call, wish: Wish, now: float) -> Tiers:
        """Return all tiers of a race. `now` is monotonic seconds."""
        form: Form = "stream" if call.stream else "whole"
        sort = _SORTS[wish.sort] if wish.sort is not None else Sort.LOAD
        prefix = _prefix(route, call)
        draws = _is_indifferent(route, call, wish) and any(
            len(tier) >= LEAST_MEMBERS for tier in route.tiers
        )
        views: list[CandidateView[LiveEndpoint]] = []
        for level, tier in enumerate(route.tiers):
            if draws:
                views += self._drawn_from(tier, form, level=level, now=now)
            else:
                views += [self._live.of(one).view(form, tier=level, now=now) for one in tier]
        preference = Preference(sort=sort, prefix=prefix, may_probe=len(views) > 1, is_drawn=draws)
        plan = order(views, rng=self._rng, preference=preference)
        return [
            [one.contender(form) for one in _line(tier, first_only=wish.first_provider_only)]
            for tier in plan.tiers
        ]

    def _drawn_from(
        self, tier: tuple[Candidate, ...], form: Form, *, level: int, now: float
    ) -> list[CandidateView[LiveEndpoint]]:
        """Return a tier in an order drawn by weight: the first few only, if enough of them are well."""
        crowd = self._crowd_of(tier)
        views: list[CandidateView[LiveEndpoint]] = []
        for wanted in (self._attempts + 2, 2 * self._attempts + 4, None):
            few = crowd.draw(self._rng, wanted)
            views = [one.view(form, tier=level, now=now) for one in few]
            well = sum(view.availability.standing is Standing.USABLE for view in views)
            if well > self._attempts or len(few) == len(tier):
                break
        return views

    def _crowd_of(self, tier: tuple[Candidate, ...]) -> Crowd:
        """Return the tier made ready; the catalog keeps a tier as the same object until it is replaced."""
        crowd = self._crowds.get(id(tier))
        if crowd is None or crowd.tier is not tier:
            if len(self._crowds) >= _MOST_CROWDS:
                self._crowds.clear()
            crowd = self._crowds[id(tier)] = Crowd(tier, [self._live.of(one) for one in tier])
        return crowd


def rescuers(
    route: Route, wish: Wish, broken: LiveEndpoint, *, live: LiveEndpoints
) -> Route | None:
    """Return the part of a route that may go on with an answer that `broken` began, if there is one.

    `broken` itself is left out. If only a larger context could serve, only larger ones are asked again.
    """

    def may_serve(candidate: Candidate) -> bool:
        wished = not wish.first_provider_only or candidate.provider == broken.endpoint.provider
        return candidate.prefill and wished and live.of(candidate).picture is not broken.picture

    was_larger = any(live.of(one).picture is broken.picture for one in route.larger_context)
    pool = (route.larger_context,) if was_larger else route.tiers
    tiers = distinct_tiers([filter(may_serve, tier) for tier in pool])
    return msgspec.structs.replace(route, tiers=tiers, larger_context=()) if tiers else None


def openers(route: Route, call: Call, *, live: LiveEndpoints) -> Route | None:
    """Return the part of a route that opens a call's URLs itself, if there is one."""

    def opens(candidate: Candidate) -> bool:
        endpoint = live.of(candidate).endpoint
        try:
            endpoint.dialect_of(call).encode_request(call, endpoint.target)
        except FilesWanted:
            return False
        except BadCall:
            return True  # it has its own reason, and says it
        return True

    tiers = distinct_tiers([filter(opens, tier) for tier in route.tiers])
    larger = tuple(filter(opens, route.larger_context))
    return msgspec.structs.replace(route, tiers=tiers, larger_context=larger) if tiers else None


def _line(tier: Tier[LiveEndpoint], *, first_only: bool) -> list[LiveEndpoint]:
    """Return a tier's members: usable ones, then those that only a race's end or patience brings in."""
    line = [*tier.usable, *_delayed(tier)]
    if not first_only:
        return line
    return [one for one in line if one.endpoint.provider == line[0].endpoint.provider]


def _delayed(tier: Tier[LiveEndpoint]) -> Iterator[LiveEndpoint]:
    for later in (*tier.last_resorts, *tier.parked, *tier.dead):
        yield later.candidate


def _is_indifferent(route: Route, call: Call, wish: Wish) -> bool:
    """Tell whether a request cares for nothing but being served."""
    if wish is not NO_WISH and (wish.sort is not None or wish.first_provider_only):
        return False
    return not route.has_cached_reads or _prefix(route, call) is None


def _prefix(route: Route, call: Call) -> int | None:
    """Return the fingerprint of the prompt's beginning, where going to the same place may save money."""
    if not route.has_cached_reads or len(route.candidates) < 2:
        return None
    messages = call.fields.get("messages")
    if messages is None or len(messages) < PREFIX_BYTES:
        return None
    return fingerprint(bytes(memoryview(messages)[:PREFIX_BYTES]))

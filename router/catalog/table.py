"""The table of routes: what providers offer, with the operator's own entries laid over it.

An entry of the configuration names models that are pooled under an id (so it can be an alias, and
redirect any id), or adds fallbacks and limits to a model that is there anyway. What it names are
offers of providers: an entry does not lead to another one, and so never in a circle, except that a
model which has an entry for itself brings its limits along. Where an alias says nothing of
fallbacks, those of its only target hold.

An entry with no target that exists leads nowhere, rather than to what it was meant to replace. A
bare name leads where the full id does. The table is built anew for every change and swapped whole,
so that no request sees half of one.
"""

from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter

import msgspec

from adapters.providers import KNOWN_PROVIDERS
from router.catalog.candidate import Candidate, ProviderWire, wires_of
from router.catalog.routes import (
    Discovered,
    Route,
    Seed,
    bare_names,
    distinct_tiers,
    offered_routes,
)
from router.config import Config, ModelConfig


class RouteTable(msgspec.Struct, frozen=True):
    """One state of the catalog.

    `routes` has the listed ones, sorted by id; `by_name` those and the bare names. `names` are the
    names that clients are shown, sorted. `wires` has one for each provider. `unresolved` are the
    entries that lead nowhere, and `missing` what the others name in vain, as pairs of entry and
    name; discovery may still change both.
    """

    routes: tuple[Route, ...]
    by_name: dict[str, Route]
    names: tuple[tuple[str, Route], ...]
    wires: tuple[ProviderWire, ...]
    unresolved: tuple[str, ...]
    missing: tuple[tuple[str, str], ...]


def build_table(
    config: Config, seed: Seed, discovered: Discovered, *, before: RouteTable | None = None
) -> RouteTable:
    """Return the table for a configuration and what discovery has found so far.

    Candidates that were in the table `before` and have not changed remain the same objects. Raises
    `ValueError` for a provider without a base URL.
    """
    wires = {name: wires_of(name, config) for name in config.providers}
    every_wire = [wire for pool in wires.values() for wire in pool]
    entries = _Entries(offered_routes(every_wire, config, seed, discovered), config.models)
    kept = dict(_candidates(before.routes)) if before is not None else {}
    routes = {route.id: _interned(route, kept) for route in entries.routes()}
    bare = {name: routes[id_] for name, id_ in entries.bare.items() if id_ in routes}
    return RouteTable(
        routes=tuple(routes[id_] for id_ in sorted(routes)),
        by_name=bare | routes,
        names=tuple(sorted((routes | _well_known(bare)).items(), key=itemgetter(0))),
        wires=tuple(pool[0] for pool in wires.values()),
        unresolved=tuple(id_ for id_ in config.models if id_ not in routes),
        missing=tuple(entries.missing()),
    )


class _Entries:
    """The operator's entries over the routes on offer; lives for one building of the table."""

    def __init__(self, offered: dict[str, Route], entries: dict[str, ModelConfig]) -> None:
        full_ids = bare_names(offered)
        self.bare = {name: id_ for name, id_ in full_ids.items() if name not in entries}
        self._entries = entries
        self._pools = {
            id_: [full_ids.get(name, name) for name in entry.pool or (id_,)]
            for id_, entry in entries.items()
        }
        self._selves = {id_: entry for id_, entry in entries.items() if self._pools[id_] == [id_]}
        self._offered = offered | self._merged(self._selves, offered)
        others = [id_ for id_ in entries if id_ not in self._selves]
        plain = {
            id_: route
            for id_, route in self._offered.items()
            if id_ not in entries or id_ in self._selves
        }
        self._first = plain | self._merged(others, self._offered)

    def routes(self) -> Iterator[Route]:
        """Yield every route that has an id of its own."""
        for id_, head in self._first.items():
            yield self._whole(head) if id_ in self._entries else head

    def missing(self) -> Iterator[tuple[str, str]]:
        """Yield each name that an entry with a route gives in vain, after the entry's id."""
        for id_, entry in self._entries.items():
            if id_ not in self._first:
                continue
            yield from ((id_, name) for name in self._pools[id_] if name not in self._offered)
            named = dict.fromkeys((*entry.fallbacks, *entry.larger_context))
            yield from ((id_, name) for name in named if self._named(name) is None)

    def _merged(self, ids: Iterable[str], offered: dict[str, Route]) -> dict[str, Route]:
        """Return the routes of these entries that lead somewhere, as yet with the first tier only."""
        found = {id_: [offered[n] for n in self._pools[id_] if n in offered] for id_ in ids}
        return {id_: _pooled(id_, self._entries[id_], pool) for id_, pool in found.items() if pool}

    def _whole(self, head: Route) -> Route:
        entry = self._entries[head.id]
        pool = self._pools[head.id]
        # Only one target, so what holds for it holds for its other name.
        lender = self._selves.get(pool[0], entry) if len(pool) == 1 else entry
        below = self._tiers_of(entry.fallbacks or lender.fallbacks)
        larger = self._tiers_of(entry.larger_context or lender.larger_context)
        return msgspec.structs.replace(
            head,
            tiers=distinct_tiers([head.candidates, *below]),
            hedge=lender.hedge if entry.hedge is None else entry.hedge,
            larger_context=tuple(
                candidate for tier in distinct_tiers(larger) for candidate in tier
            ),
        )

    def _tiers_of(self, names: Iterable[str]) -> list[tuple[Candidate, ...]]:
        return [route.candidates for name in names if (route := self._named(name)) is not None]

    def _named(self, name: str) -> Route | None:
        return self._first.get(self.bare.get(name, name))


def _well_known(bare: Mapping[str, Route]) -> dict[str, Route]:
    """Return the bare names by which every client knows a model, its provider's own list having them."""
    makers = {name for name, known in KNOWN_PROVIDERS.items() if known.known_bare}
    return {name: route for name, route in bare.items() if route.owned_by in makers}


def _pooled(id_: str, entry: ModelConfig, pool: list[Route]) -> Route:
    candidates = [candidate for route in pool for candidate in route.candidates]
    if entry.timeouts is not None:
        candidates = [
            msgspec.structs.replace(one, timeouts=entry.timeouts.over(one.timeouts))
            for one in candidates
        ]
    model = next((route.model for route in pool if route.model is not None), None)
    return Route(id_, distinct_tiers([candidates]), model, candidates[0].provider)


def _candidates(routes: Iterable[Route]) -> Iterator[tuple[Candidate, Candidate]]:
    for route in routes:
        for group in (*route.tiers, route.larger_context):
            yield from ((candidate, candidate) for candidate in group)


def _interned(route: Route, known: dict[Candidate, Candidate]) -> Route:
    """Return the route with one object for equal candidates, the one that is `known` if any is."""
    return msgspec.structs.replace(
        route,
        tiers=tuple(tuple(known.setdefault(c, c) for c in tier) for tier in route.tiers),
        larger_context=tuple(known.setdefault(c, c) for c in route.larger_context),
    )

"""From configuration, seed and discovery to one immutable table of routes.

A route is what a model id leads to. Every model has the id `provider/model`; the provider's part of
it may hold slashes of its own. What else leads to a route, in this order:

1. an alias from the configuration, which thereby can redirect any id; while its target does not
   exist it leads nowhere, rather than to what it was meant to replace;
2. the full id, or the id a model entry gives; where several providers give one id, all of them are
   candidates, in the order of the configuration;
3. the bare name of a model, if only one configured provider has it, or if one of them made it. A
   bare name that several resellers share leads nowhere: which one is meant is not ours to guess.

The table is built anew for every change and swapped whole, so that no request sees half of one.
"""

from collections.abc import Container, Iterable, Iterator, Mapping

import msgspec

from adapters.providers import maker_of
from router.catalog.candidate import Candidate, ProviderWire, candidate_of, wire_of
from router.catalog.models import Model
from router.config import Config, ModelEntry

Seed = Mapping[str, Mapping[str, Model]]
Discovered = Mapping[str, tuple[str, ...]]


class Route(msgspec.Struct, frozen=True):
    """Where a model id leads: the candidates in order, and what is known of the model."""

    id: str
    candidates: tuple[Candidate, ...]
    model: Model | None
    owned_by: str


class RouteTable(msgspec.Struct, frozen=True):
    """One state of the catalog.

    `routes` has the listed ones, sorted by id; `by_name` those and the bare names. `unresolved` are
    the aliases whose target is not there, which discovery may still change.
    """

    routes: tuple[Route, ...]
    by_name: dict[str, Route]
    wires: tuple[ProviderWire, ...]
    unresolved: tuple[str, ...]


class Offer(msgspec.Struct, frozen=True):
    """One provider's offer of one model under one id."""

    id: str
    candidate: Candidate
    model: Model | None


def index_seed(models: Iterable[Model]) -> Seed:
    """Return the models by provider and name."""
    seed: dict[str, dict[str, Model]] = {}
    for model in models:
        seed.setdefault(model.provider, {})[model.model] = model
    return seed


def build_table(
    config: Config, seed: Seed, discovered: Discovered, *, before: RouteTable | None = None
) -> RouteTable:
    """Return the table for a configuration and what discovery has found so far.

    Candidates that were in the table `before` and have not changed remain the same objects.
    """
    wires = tuple(wire_of(name, config) for name in config.providers)
    kept = _candidates(before) if before is not None else {}
    offers: dict[str, list[Offer]] = {}
    for wire in wires:
        for offer in _offers(wire, config, seed.get(wire.provider, {}), discovered):
            candidate = kept.get(offer.candidate, offer.candidate)
            offers.setdefault(offer.id, []).append(
                msgspec.structs.replace(offer, candidate=candidate)
            )
    routes = {id_: _route(id_, rivals) for id_, rivals in offers.items()}
    by_name = _bare_names(routes) | routes
    aliases = {
        alias: msgspec.structs.replace(by_name[entry.target], id=alias)
        for alias, entry in config.models.items()
        if entry.target in by_name
    }
    routes, by_name = (_without(names, config.models) | aliases for names in (routes, by_name))
    return RouteTable(
        routes=tuple(routes[id_] for id_ in sorted(routes)),
        by_name=by_name,
        wires=wires,
        unresolved=tuple(alias for alias in config.models if alias not in aliases),
    )


def _without(routes: Mapping[str, Route], names: Container[str]) -> dict[str, Route]:
    return {id_: route for id_, route in routes.items() if id_ not in names}


def _candidates(table: RouteTable) -> dict[Candidate, Candidate]:
    return {candidate: candidate for route in table.routes for candidate in route.candidates}


def _offers(
    wire: ProviderWire, config: Config, known: Mapping[str, Model], discovered: Discovered
) -> Iterator[Offer]:
    for entry in _entries(wire, config, known, discovered):
        id_ = entry.id or f"{wire.provider}/{entry.upstream}"
        model = known.get(entry.upstream) or known.get(id_.removeprefix(f"{wire.provider}/"))
        yield Offer(id_, candidate_of(wire, entry.upstream), model)


def _entries(
    wire: ProviderWire, config: Config, known: Mapping[str, Model], discovered: Discovered
) -> list[ModelEntry]:
    """Return what the operator lists, else what the seed knows; then what the provider lists."""
    listed = config.providers[wire.provider].models
    found = discovered.get(wire.provider)
    if listed is not None:
        entries = [e if isinstance(e, ModelEntry) else ModelEntry(upstream=e) for e in listed]
    elif found is not None and wire.inventory:
        entries = []
    else:
        entries = [ModelEntry(upstream=m.model) for m in known.values() if m.is_served]
    names = {entry.upstream for entry in entries}
    return entries + [
        ModelEntry(upstream=name)
        for name in dict.fromkeys(found or ())
        if name not in names and (name not in known or known[name].is_served)
    ]


def _route(id_: str, offers: list[Offer]) -> Route:
    model = next((offer.model for offer in offers if offer.model is not None), None)
    candidates = tuple(dict.fromkeys(offer.candidate for offer in offers))
    return Route(id_, candidates, model, candidates[0].provider)


def _bare_names(routes: Mapping[str, Route]) -> dict[str, Route]:
    rivals: dict[str, dict[str, Route]] = {}
    for route in routes.values():
        for candidate in route.candidates:
            bare = route.id.removeprefix(f"{candidate.provider}/")
            if bare != route.id:
                rivals.setdefault(bare, {})[candidate.provider] = route
    meant = {bare: _meant(bare, by_provider) for bare, by_provider in rivals.items()}
    return {bare: route for bare, route in meant.items() if route is not None}


def _meant(bare: str, by_provider: Mapping[str, Route]) -> Route | None:
    if len(by_provider) == 1:
        return next(iter(by_provider.values()))
    return by_provider.get(maker_of(bare) or "")

"""Routes: what a model id leads to, and those that follow from what providers offer.

Every model has the id `provider/model`; the provider's part of it may hold slashes of its own. Where
several providers give one id, or one provider has several keys, all of them are candidates, in the
order of the configuration. The bare name of a model leads to it as well, if only one configured
provider has it, or if one of them made it. A bare name that several resellers share leads nowhere:
which one is meant is not ours to guess.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from adapters.providers import maker_of
from router.catalog.candidate import Candidate, ProviderWire, candidate_of
from router.catalog.models import Model
from router.config import Config, ModelEntry

Seed = Mapping[str, Mapping[str, Model]]
Discovered = Mapping[str, tuple[str, ...]]
Tiers = tuple[tuple[Candidate, ...], ...]


class Route(msgspec.Struct, frozen=True):
    """Where a model id leads, and what is known of the model.

    `tiers` are never empty: the first holds the model itself, each of the others a fallback that is
    asked when those before it cannot answer. `larger_context` is for prompts that were too long for
    all that. `hedge`: whether to, or after how many seconds, `None` where the general choice stands.

    What requests ask of all its candidates is found out once, as it is made: `has_rescuer`, whether
    any of them could go on with an answer that broke; `has_cached_reads`, whether any of the first
    tier charges less for what it has read before.
    """

    id: str
    tiers: Tiers
    model: Model | None
    owned_by: str
    hedge: bool | float | None = None
    larger_context: tuple[Candidate, ...] = ()
    has_rescuer: bool = False
    has_cached_reads: bool = False

    def __post_init__(self) -> None:
        """Find out what is asked of all candidates."""
        able = any(one.prefill for tier in (*self.tiers, self.larger_context) for one in tier)
        msgspec.structs.force_setattr(self, "has_rescuer", able)
        cheaper = any(one.cached_reads for one in self.tiers[0])
        msgspec.structs.force_setattr(self, "has_cached_reads", cheaper)

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The first tier: who serves the model itself."""
        return self.tiers[0]


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


def distinct_tiers(tiers: Iterable[Iterable[Candidate]]) -> Tiers:
    """Return the tiers with nobody in them twice: who stands in one is left out of all below it."""
    seen: set[object] = set()
    kept: list[tuple[Candidate, ...]] = []
    for tier in tiers:
        new: dict[object, Candidate] = {}
        for candidate in tier:
            if candidate.identity not in seen:
                new.setdefault(candidate.identity, candidate)
        seen.update(new)
        if new:
            kept.append(tuple(new.values()))
    return tuple(kept)


def offered_routes(
    wires: Iterable[ProviderWire], config: Config, seed: Seed, discovered: Discovered
) -> dict[str, Route]:
    """Return the routes that follow from the providers alone, by id; each has a single tier."""
    offers: dict[str, list[Offer]] = {}
    for wire in wires:
        for offer in _offers(wire, config, seed.get(wire.provider, {}), discovered):
            offers.setdefault(offer.id, []).append(offer)
    return {id_: _route(id_, rivals) for id_, rivals in offers.items()}


def bare_names(routes: Mapping[str, Route]) -> dict[str, str]:
    """Return the bare names that lead somewhere, with the full id that each stands for."""
    rivals: dict[str, dict[str, str]] = {}
    for route in routes.values():
        for candidate in route.candidates:
            bare = route.id.removeprefix(f"{candidate.provider}/")
            if bare != route.id:
                rivals.setdefault(bare, {})[candidate.provider] = route.id
    meant = {bare: _meant(bare, by_provider) for bare, by_provider in rivals.items()}
    return {bare: id_ for bare, id_ in meant.items() if id_ is not None and bare not in routes}


def _offers(
    wire: ProviderWire, config: Config, known: Mapping[str, Model], discovered: Discovered
) -> Iterator[Offer]:
    for entry in _entries(wire, config, known, discovered):
        id_ = entry.id or f"{wire.provider}/{entry.upstream}"
        model = known.get(entry.upstream) or known.get(id_.removeprefix(f"{wire.provider}/"))
        candidate = candidate_of(wire, entry, served_model=id_, model=model)
        yield Offer(id_, candidate, model)


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
    tiers = distinct_tiers([[offer.candidate for offer in offers]])
    return Route(id_, tiers, model, tiers[0][0].provider)


def _meant(bare: str, by_provider: Mapping[str, str]) -> str | None:
    if len(by_provider) == 1:
        return next(iter(by_provider.values()))
    return by_provider.get(maker_of(bare) or "")

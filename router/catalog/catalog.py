"""The catalog: the current table of routes, and the two events that replace it.

Requests read the table, discovery and reloads build another one and put it in its place by a
single assignment. A request that already holds a route keeps it, whatever happens to the catalog.
"""

from collections.abc import Iterable

from router.catalog.candidate import ProviderWire
from router.catalog.models import Model
from router.catalog.nearest import NearestIndex
from router.catalog.routes import Route, index_seed
from router.catalog.table import build_table
from router.config import Config


class Catalog:
    """Model ids to routes. Everything is synchronous; looking up is O(1)."""

    def __init__(self, config: Config, models: Iterable[Model]) -> None:
        self._config = config
        self._seed = index_seed(models)
        self._discovered: dict[str, tuple[str, ...]] = {}
        self._table = build_table(config, self._seed, self._discovered)
        self._index = self._index_table()

    def resolve(self, model_id: str) -> Route | None:
        """Return where the id, alias or bare name leads, `None` if nowhere."""
        return self._table.by_name.get(model_id)

    def nearest(self, model_id: str, n: int = 3) -> list[str]:
        """Return up to `n` listed ids most like an unknown one; a few milliseconds at most."""
        return self._index.nearest(model_id, n)

    def listing(self) -> tuple[Route, ...]:
        """Return every route that has an id of its own (bare names have none), sorted by id."""
        return self._table.routes

    def names(self) -> tuple[tuple[str, Route], ...]:
        """Return the names that clients are shown, sorted, each with its route.

        They are the ids, and the bare names of models that every client knows by those.
        """
        return self._table.names

    def unresolved_aliases(self) -> tuple[str, ...]:
        """Return the ids of the configuration that lead nowhere at present."""
        return self._table.unresolved

    def missing_models(self) -> tuple[tuple[str, str], ...]:
        """Return what the others of them name in vain at present, as pairs of id and name."""
        return self._table.missing

    def discoverable(self) -> tuple[ProviderWire, ...]:
        """Return the providers that are to be asked for their models, each with its first key."""
        asked = self._config.providers
        return tuple(wire for wire in self._table.wires if asked[wire.provider].discover)

    def learn(self, wire: ProviderWire, names: Iterable[str]) -> None:
        """Take the models a provider lists in place of those it listed before.

        An answer to a question that a reload has overtaken is ignored.
        """
        found = tuple(dict.fromkeys(names))
        if wire in self.discoverable() and self._discovered.get(wire.provider) != found:
            self._replace(self._config, self._discovered | {wire.provider: found})

    def reload(self, config: Config) -> None:
        """Take another configuration; what discovery found at an unchanged address stays known."""
        old, new = self._config.providers, config.providers
        kept = {
            name: found
            for name, found in self._discovered.items()
            if name in new and new[name].discover and new[name].base_url == old[name].base_url
        }
        self._replace(config, kept)

    def _replace(self, config: Config, discovered: dict[str, tuple[str, ...]]) -> None:
        table = build_table(config, self._seed, discovered, before=self._table)
        self._config, self._discovered, self._table = config, discovered, table
        self._index = self._index_table()

    def _index_table(self) -> NearestIndex:
        return NearestIndex(route.id for route in self._table.routes)

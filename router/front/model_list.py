"""The list of models, as one caller may use them.

A list of well over a thousand models is asked for by every chat window that opens, so each model's card is
encoded once, and a request only picks those that its tier has. The cards are made anew when the catalog has
another table, which discovery and reloads bring about.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from router.accounts.caller import Caller
from router.billing.prices import PriceList
from router.catalog.catalog import Catalog
from router.catalog.routes import Route
from router.front.model_card import card_of

_encode: Final = msgspec.json.encode


class Listed(msgspec.Struct, frozen=True):
    """A name, where it leads, whether that is sold to those who pay in advance, and its encoded card."""

    route: Route
    is_priced: bool
    card: msgspec.Raw


class ModelList:
    """The models of one catalog at the prices of one list."""

    def __init__(self, catalog: Catalog, prices: PriceList) -> None:
        self._catalog = catalog
        self._prices = prices
        self._made_of: tuple[Route, ...] | None = None
        self._cards: Mapping[str, Listed] = {}

    def for_caller(self, caller: Caller) -> bytes:
        """Return the whole list, encoded: the models of the caller's tier that are sold to it."""
        cards = [
            listed.card
            for listed in self._current().values()
            if caller.tier.allows(listed.route.id)
            and (listed.is_priced or not caller.pays_in_advance)
        ]
        return _encode({"object": "list", "data": cards})

    def card(self, name: str, route: Route) -> bytes:
        """Return the encoded card of what `name` leads to, under that name if it is a listed one."""
        cards = self._current()
        listed = cards.get(name) or cards[route.id]
        return bytes(listed.card)

    def _current(self) -> Mapping[str, Listed]:
        routes = self._catalog.listing()
        if routes is not self._made_of:
            self._cards = {name: self._listed(name, at) for name, at in self._catalog.names()}
            self._made_of = routes
        return self._cards

    def _listed(self, name: str, route: Route) -> Listed:
        card = msgspec.Raw(_encode(card_of(name, route, self._prices.of_model(route))))
        return Listed(route, self._prices.priced(route) is not None, card)

"""What the candidates of a route cost, as customers pay it and as providers ask it.

Which candidate will serve is not known when a request comes in, so what is held for it is the dearest of
them. A candidate without a usable price serves no prepaid account: nothing is sold for nothing by accident
(I3).
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from router.catalog.candidate import Candidate
from router.catalog.routes import Route, distinct_tiers
from router.ledger.price import RATES, Price
from router.ledger.tariff import Tariff

MOST_REMEMBERED: Final = 10_000


class Offer(msgspec.Struct, frozen=True, eq=False):
    """What of a route may be sold, `None` if nothing, and the price that no candidate of it exceeds."""

    route: Route
    sellable: Route | None
    dearest: Price | None


class PriceList:
    """The tariffs of one configuration, by `provider/upstream model`.

    What a route costs is remembered as long as the route is the very same: it is asked for with every
    request, and a route may have hundreds of candidates.
    """

    def __init__(self, tariffs: Mapping[str, Tariff]) -> None:
        self._tariffs = tariffs
        self._offers: dict[int, Offer] = {}

    def of(self, provider: str, upstream_model: str) -> Tariff | None:
        """Return the tariff of a model at a provider, `None` where it has no usable price."""
        return self._tariffs.get(f"{provider}/{upstream_model}")

    def priced(self, route: Route) -> Route | None:
        """Return what of a route has a price, `None` where nothing has."""
        return (self._offers.get(id(route)) or self._remember(route)).sellable

    def dearest(self, route: Route) -> Price | None:
        """Return the price that no candidate of the route exceeds, `None` where none has any."""
        return (self._offers.get(id(route)) or self._remember(route)).dearest

    def _remember(self, route: Route) -> Offer:
        # What is remembered is alive, so that no other route has its identity.
        if len(self._offers) >= MOST_REMEMBERED:
            self._offers.clear()
        offer = Offer(route, self._find_sellable(route), self._find_dearest(route))
        self._offers[id(route)] = offer
        return offer

    def _find_sellable(self, route: Route) -> Route | None:
        if all(self._has_price(candidate) for candidate in _candidates(route)):
            return route
        tiers = distinct_tiers([filter(self._has_price, tier) for tier in route.tiers])
        if not tiers:
            return None
        larger = tuple(filter(self._has_price, route.larger_context))
        return msgspec.structs.replace(route, tiers=tiers, larger_context=larger)

    def _find_dearest(self, route: Route) -> Price | None:
        prices = [
            tariff.sale
            for candidate in _candidates(route)
            if (tariff := self.of(candidate.provider, candidate.upstream_model)) is not None
        ]
        if not prices:
            return None
        return Price(**{rate: max(_rates_of(prices, rate)) for rate in RATES})

    def of_model(self, route: Route) -> Price | None:
        """Return what the model itself costs, or where it has no price what stands in for it costs."""
        alone = msgspec.structs.replace(route, tiers=route.tiers[:1], larger_context=())
        return self.dearest(alone) or self.dearest(route)

    def _has_price(self, candidate: Candidate) -> bool:
        return self.of(candidate.provider, candidate.upstream_model) is not None


def _candidates(route: Route) -> Iterator[Candidate]:
    for tier in (*route.tiers, route.larger_context):
        yield from tier


def _rates_of(prices: list[Price], rate: str) -> Iterator[int]:
    return (getattr(price, rate) for price in prices)

"""Prices out of the package genai-prices, where its shape and ours agree.

The package is newer than any list that ships with a gateway, and richer: prices by time of day, by length of
the prompt, by hour of sound. Ours has one price per kind of token. A model that is sold by the kinds we know
is taken, and one that is not is left to the seed, for half of a tariff is a wrong one.

It is imported when asked for, since it takes a quarter of a second and is optional.
"""

from decimal import Decimal
from typing import Final

from router.ledger.price import Stated
from router.ledger.tariff import Market

_RATES: Final = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write",
    "output_reasoning_mtok": "reasoning",
}
# What else a request may be charged for, whatever it says; leaving that out would be a discount.
_UNAVOIDABLE: Final = frozenset({"requests_kcount"})


def genai_market() -> Market:
    """Return the prices that the installed package knows, at the time it was made; reads no network.

    Raises `ImportError` where the optional package is not installed.
    """
    from genai_prices.data_snapshot import find_provider_by_id, get_snapshot  # noqa: PLC0415 - optional

    providers = get_snapshot().providers

    def rates(provider: str, model: str) -> Stated | None:
        known = find_provider_by_id(providers, provider)
        found = known.find_model(model) if known is not None else None
        return None if found is None else token_rates(found.prices)

    return rates


def token_rates(prices: object) -> Stated | None:
    """Return the rates of one of the package's price sets, `None` where it is not one price per kind."""
    if isinstance(prices, list):  # different ones by time of day, or since a date
        return None
    stated = {name: value for name, value in vars(prices).items() if value is not None}
    if "input_mtok" not in stated or _UNAVOIDABLE & stated.keys():
        return None
    rates: dict[str, Decimal] = {}
    for name, rate in _RATES.items():
        value = stated.get(name)
        if isinstance(value, Decimal):
            rates[rate] = value
        elif value is not None:
            return None
    return rates

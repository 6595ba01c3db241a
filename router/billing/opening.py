"""From the configuration to prices, and to the folder that settlements are written in."""

from decimal import Decimal
from pathlib import Path

import msgspec

from router.billing.prices import PriceList
from router.catalog.models import Model
from router.config import Config
from router.ledger.market import genai_market
from router.ledger.tariff import Tariffs, make_tariffs


def tariffs_of(config: Config, models: tuple[Model, ...]) -> Tariffs:
    """Return the tariffs of a configuration. Raises `ImportError` without the package it asks for."""
    money = config.money
    stated = {
        name: {
            rate: value
            for rate, value in msgspec.structs.asdict(table).items()
            if value is not None
        }
        for name, table in money.prices.items()
    }
    return make_tariffs(
        models,
        market=genai_market() if money.price_list == "genai-prices" else None,
        overrides=stated,
        markup=Decimal(str(money.markup)),
    )


def price_list(config: Config, models: tuple[Model, ...]) -> PriceList:
    """Return the prices of a configuration. Raises `ImportError` without the package it asks for."""
    return PriceList(tariffs_of(config, models).tariffs)


def journal_folder(config: Config) -> Path | None:
    """Return where settlements are written: as configured, else beside the SQLite store; `None`: not said.

    A store on another machine has no folder beside it.
    """
    if config.money.journal is not None:
        return Path(config.money.journal)
    return Path(config.store.path).parent / "journal" if config.store.path is not None else None

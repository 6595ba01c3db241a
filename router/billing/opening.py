"""From the configuration to prices, and to the folder that settlements are written in.

A model without a usable price in the public lists is only left unsold. A price that the operator wrote and
that cannot be one refuses the whole configuration, with the model's name (I3, I11): it must neither be sold
at a list's price instead, nor quietly not at all.
"""

import hashlib
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from router.billing.prices import PriceList
from router.catalog.models import Model, load_seed
from router.config import Config, ConfigError, Problem, load_config
from router.config.decode import show
from router.ledger.market import genai_market
from router.ledger.price import PriceProblem
from router.ledger.tariff import Market, Tariffs, make_tariffs


def load_priced(path: Path | None, environ: Mapping[str, str]) -> Config:
    """Read the configuration as `load_config` does, and see that its prices can be some.

    Raises `ConfigError`.
    """
    config = load_config(path, environ)
    tariffs_of(config, load_seed())
    return config


def tariffs_of(config: Config, models: Iterable[Model]) -> Tariffs:
    """Return what the configured providers' models cost, and why others are not sold.

    Takes tens of milliseconds, and more with genai-prices; reads no network. Raises `ConfigError`.
    """
    money = config.money
    tariffs = make_tariffs(
        (model for model in models if model.provider in config.providers),
        market=_market(config),
        overrides={name: rates.stated for name, rates in money.prices.items()},
        markup=Decimal(str(money.markup)),
    )
    own = [problem for problem in tariffs.problems if problem.model in money.prices]
    if own:
        raise ConfigError("the configuration", [_in_config(problem) for problem in own])
    return tariffs


def price_list(config: Config, models: Iterable[Model]) -> PriceList:
    """Return the prices of a configuration. Raises `ConfigError`."""
    return PriceList(tariffs_of(config, models).tariffs)


def journal_folder(config: Config) -> Path | None:
    """Return where settlements are written: as configured, else beside the SQLite store; `None`: not said.

    Each database has a folder of its own, or one would be told what another is owed. Its user and password
    may change.
    """
    store = config.store
    if store.path is not None:
        return Path(config.money.journal or f"{store.path}.journal")
    if store.url is None or config.money.journal is None:
        return None
    place = store.url.reveal().rpartition("@")[2].partition("?")[0]
    return Path(config.money.journal) / hashlib.sha256(place.encode()).hexdigest()[:12]


def _market(config: Config) -> Market | None:
    if config.money.price_list == "seed":
        return None
    try:
        return genai_market()
    except ImportError:
        problem = Problem("money.price_list", "the package genai-prices is not installed")
        raise ConfigError("the configuration", [problem]) from None


def _in_config(problem: PriceProblem) -> Problem:
    return Problem(show(("money", "prices", problem.model)), problem.reason)

"""From the configuration to the price list: which models this gateway can sell, and for how much.

A model without a usable price in the public lists is only left unsold. A price that the operator wrote and
that cannot be one refuses the whole configuration, with the model's name (I3, I11): what was meant for sale
must not quietly stand on no list, and must not be sold at a list's price either.
"""

from collections.abc import Iterable
from decimal import Decimal

from router.billing.prices import PriceList
from router.catalog.models import Model
from router.config import Config, ConfigError, Problem
from router.config.decode import show
from router.ledger.market import genai_market
from router.ledger.price import PriceProblem
from router.ledger.tariff import Market, Tariffs, make_tariffs


def load_price_list(config: Config, models: Iterable[Model]) -> PriceList:
    """Return what the models of the configured providers cost; `models` is the seed.

    Takes tens of milliseconds, more with genai-prices; reads no network. Raises `ConfigError`.
    """
    return PriceList(load_tariffs(config, models).tariffs)


def load_tariffs(config: Config, models: Iterable[Model]) -> Tariffs:
    """Return the tariffs of the configured providers' models, and why others have none.

    Raises `ConfigError` where the operator's own prices do not make a whole one.
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

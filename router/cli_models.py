"""`syze models`: what is routed, and what it costs."""

from pathlib import Path

import click

from router.billing.opening import load_priced, price_list
from router.billing.prices import PriceList
from router.catalog.catalog import Catalog
from router.catalog.models import load_seed
from router.catalog.routes import Route
from router.cli_frame import CONFIG_OPTION, JSON_OPTION, load_or_exit, write_json, write_line
from router.ledger.price import usd_per_mtok


@click.command()
@CONFIG_OPTION
@click.option("--provider", help="Only the models of this provider.")
@JSON_OPTION
def models(config_path: Path | None, provider: str | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """List the models that are routed, tab-separated: id, provider, context, input and output price."""
    config, seed = load_or_exit(config_path, load_priced), load_seed()
    prices = price_list(config, seed)
    facts = [
        _model_facts(route, prices)
        for route in Catalog(config, seed).listing()
        if provider in {None, route.owned_by}
    ]
    if as_json:
        write_json(facts)
        return
    for one in facts:
        write_line(one)


def _model_facts(route: Route, prices: PriceList) -> dict[str, object]:
    model = route.model
    price = prices.of_model(route)
    return {
        "id": route.id,
        "provider": route.owned_by,
        "context_tokens": model.context_tokens if model is not None else None,
        "input_usd_per_mtok": None if price is None else float(usd_per_mtok(price.input)),
        "output_usd_per_mtok": None if price is None else float(usd_per_mtok(price.output)),
    }

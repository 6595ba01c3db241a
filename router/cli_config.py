"""`syze config`: the configuration, read as `serve` would read it."""

import os
import sys
from pathlib import Path

import click
import msgspec

from router.billing.opening import load_priced, price_list
from router.catalog.catalog import Catalog
from router.catalog.models import load_seed
from router.cli_frame import CONFIG_OPTION, JSON_OPTION, write_json
from router.config import ConfigError, find_config


@click.group()
def config() -> None:
    """Work with the configuration."""


@config.command("check")
@CONFIG_OPTION
@JSON_OPTION
def check(config_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Read the configuration as `serve` would, and say what is wrong with it (exit code 2)."""
    try:
        read = load_priced(config_path, os.environ)
    except ConfigError as error:
        if as_json:
            write_json({"ok": False, "problems": [msgspec.to_builtins(p) for p in error.problems]})
        else:
            click.echo(str(error), err=True)
        sys.exit(2)
    seed = load_seed()
    catalog, prices = Catalog(read, seed), price_list(read, seed)
    unpriced = [route.id for route in catalog.listing() if not prices.priced(route)]
    source = config_path or find_config(os.environ)
    facts = {
        "ok": True,
        "source": str(source) if source is not None else "environment",
        "providers": sorted(read.providers),
        "models": len(catalog.listing()),
        "unpriced_models": unpriced,
        "unresolved_aliases": list(catalog.unresolved_aliases()),
        "missing_models": [
            {"entry": entry, "model": model} for entry, model in catalog.missing_models()
        ],
    }
    if as_json:
        write_json(facts)
        return
    click.echo(
        f"The configuration from {facts['source']} is good: {len(read.providers)} providers, "
        f"{facts['models']} models."
    )
    for alias in catalog.unresolved_aliases():
        click.echo(f"The alias '{alias}' leads to no known model at present.", err=True)
    if unpriced:
        told = f"{len(unpriced)} models have no usable price, and are not sold for credit (--json)."
        click.echo(told, err=True)
    for entry, model in catalog.missing_models():
        click.echo(f"The entry '{entry}' names '{model}', which is not known at present.", err=True)

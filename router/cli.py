"""The `syze` command.

Exit codes: 0 done, 1 it failed, 2 the command line or the configuration is wrong. What scripts read comes as
JSON with `--json`, on standard output; everything said to a person goes to standard error.
"""

import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import click
import msgspec
import trio

from router.accounts.errors import UnknownKey
from router.accounts.store import KeyStore
from router.app import serve_gateway
from router.billing.opening import load_priced, price_list
from router.billing.prices import PriceList
from router.catalog.catalog import Catalog
from router.catalog.models import load_seed
from router.catalog.routes import Route
from router.cli_accounts import accounts, tiers
from router.cli_bench import bench
from router.cli_frame import (
    CONFIG_OPTION,
    JSON_OPTION,
    load_or_exit,
    open_store,
    write_json,
    write_line,
)
from router.cli_keys import keys
from router.cli_limits import limits
from router.cli_money import credit, ledger
from router.cli_simulate import simulate
from router.cli_usage import usage
from router.config import Config, ConfigError, find_config, rules
from router.demo import run_demo
from router.ledger.price import usd_per_mtok
from router.observe.bridge import configure_logging
from router.process import allow_many_open_files, prepare_interpreter, stop_on_signal
from router.quickstart import quickstart_model, quickstart_text
from router.simulator import REALISTIC, Latency, Profile
from router.simulator.option import LatencyParameter
from router.upstream.dial import TcpDialer
from router.version import VERSION
from router.workers.failure import MENDABLE, leaves
from router.workers.supervisor import serve_with_workers

_WORKERS_OPTION = click.option(
    "--workers", type=click.IntRange(1, 64), help="Serve with so many processes, not as configured."
)


def _check_bind(
    _context: click.Context, _parameter: click.Parameter, addresses: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse an address that the configuration would refuse too."""
    for address in addresses:
        try:
            rules.bind_address(address)
        except ValueError as error:
            raise click.BadParameter(f"{address}: {error}") from error
    return addresses


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="syze")
def main() -> None:
    """SyzeAI: an OpenAI-compatible LLM gateway."""


@main.command()
@CONFIG_OPTION
@_WORKERS_OPTION
@click.option(
    "--bind",
    multiple=True,
    metavar="HOST:PORT",
    callback=_check_bind,
    help="Listen here, not as configured.",
)
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port of 127.0.0.1.")
@click.option(
    "--quickstart",
    is_flag=True,
    help="Make a fresh key and print lines to try; with no provider configured, serve the demo.",
)
def serve(
    config_path: Path | None,
    workers: int | None,
    bind: tuple[str, ...],
    port: int | None,
    quickstart: bool,  # noqa: FBT001 - a click flag
) -> None:
    """Serve the gateway until SIGTERM or Ctrl-C, then finish the streams in flight."""
    config = load_or_exit(config_path, load_priced)
    config = _with_options(config, bind=bind, port=port, workers=workers)
    if config.providers:
        secret = _quickstart_key(config) if quickstart else None

        def read_config() -> Config:
            read = load_priced(config_path, os.environ)
            return _with_options(read, bind=bind, port=port, workers=workers)

        _run(partial(_serve, config, secret, read_config=read_config))
    elif quickstart:
        _run(partial(_serve_demo, config, REALISTIC))
    else:
        raise click.ClickException(
            "no provider is configured: set a variable such as OPENAI_API_KEY, write a syze.toml, "
            "or try 'syze demo'"
        )


@main.command()
@_WORKERS_OPTION
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option(
    "--ttft",
    type=LatencyParameter(),
    default=REALISTIC.ttft,
    help="Seconds to the first token of the simulated providers: median[:sigma].",
)
@click.option(
    "--gap",
    type=LatencyParameter(),
    default=REALISTIC.gap,
    help="Seconds between their tokens: median[:sigma].",
)
def demo(workers: int | None, port: int, ttft: Latency, gap: Latency) -> None:
    """Serve the gateway over simulated providers, with a fresh key: nothing to configure or pay."""
    profile = Profile(ttft=ttft, gap=gap)
    config = _with_options(Config(), bind=(), port=port, workers=workers)
    _run(partial(_serve_demo, config, profile))


@main.command()
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


main.add_command(keys)
main.add_command(accounts)
main.add_command(tiers)
main.add_command(limits)
main.add_command(credit)
main.add_command(usage)
main.add_command(ledger)
main.add_command(simulate)
main.add_command(bench)


@main.group("config")
def config_group() -> None:
    """Work with the configuration."""


@config_group.command("check")
@CONFIG_OPTION
@JSON_OPTION
def config_check(config_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Read the configuration as `serve` would, and say what is wrong with it (exit code 2)."""
    try:
        config = load_priced(config_path, os.environ)
    except ConfigError as error:
        if as_json:
            write_json({"ok": False, "problems": [msgspec.to_builtins(p) for p in error.problems]})
        else:
            click.echo(str(error), err=True)
        sys.exit(2)
    seed = load_seed()
    catalog, prices = Catalog(config, seed), price_list(config, seed)
    unpriced = [route.id for route in catalog.listing() if not prices.priced(route)]
    source = config_path or find_config(os.environ)
    facts = {
        "ok": True,
        "source": str(source) if source is not None else "environment",
        "providers": sorted(config.providers),
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
        f"The configuration from {facts['source']} is good: {len(config.providers)} providers, "
        f"{facts['models']} models."
    )
    for alias in catalog.unresolved_aliases():
        click.echo(f"The alias '{alias}' leads to no known model at present.", err=True)
    if unpriced:
        told = f"{len(unpriced)} models have no usable price, and are not sold for credit (--json)."
        click.echo(told, err=True)
    for entry, model in catalog.missing_models():
        click.echo(f"The entry '{entry}' names '{model}', which is not known at present.", err=True)


async def _serve(
    config: Config, secret: str | None, *, read_config: Callable[[], Config] | None = None
) -> None:
    """Serve until a signal; print the quickstart lines for `secret` once it listens.

    Workers are replaced with what `read_config` says when a signal asks for it; `None` changes nothing.
    """
    allow_many_open_files()
    log = configure_logging(config.log.level, config.log.format)
    stop = trio.Event()

    def announce(urls: list[str]) -> None:
        workers = config.server.workers
        log.logger.info("listening", urls=urls, version=VERSION, workers=workers)
        if workers == 1:
            prepare_interpreter()
        if secret is not None:
            model = quickstart_model(Catalog(config, load_seed()))
            click.echo(quickstart_text(urls[0], secret, model))

    if config.server.workers > 1:
        read_config = read_config or (lambda: config)
        await serve_with_workers(config, log=log, read_config=read_config, on_listening=announce)
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, stop)
        await serve_gateway(config, log=log, dial=TcpDialer(), stop=stop, on_listening=announce)
        nursery.cancel_scope.cancel()


async def _serve_demo(config: Config, profile: Profile) -> None:
    click.echo("No provider is asked: this is the demo, over simulated ones.", err=True)
    await run_demo(config, profile, _serve)


def _run(main_task: Callable[[], Awaitable[None]]) -> None:
    """Run to the end; say in one line what an operator can mend (exit code 1)."""
    failures: list[BaseException] = []
    try:
        trio.run(main_task)
    except* MENDABLE as group:
        failures.extend(leaves(group))
    if failures:
        raise click.ClickException("; ".join(str(failure) for failure in failures))


def _with_options(
    config: Config, *, bind: tuple[str, ...], port: int | None, workers: int | None
) -> Config:
    """Return the configuration with what the command line says of the server."""
    addresses = list(bind) if port is None else [*bind, f"127.0.0.1:{port}"]
    server = msgspec.structs.replace(
        config.server,
        bind=addresses or config.server.bind,
        workers=config.server.workers if workers is None else workers,
    )
    return msgspec.structs.replace(config, server=server)


def _quickstart_key(config: Config) -> str:
    """Make the quickstart's key; those of earlier starts stop working."""
    with open_store(config) as database:
        store = KeyStore(database)
        with suppress(UnknownKey):  # there is none at the first start
            store.revoke_all_named("quickstart")
        return store.create("quickstart")[1]


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

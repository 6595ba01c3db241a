"""The `syze` command.

Exit codes: 0 done, 1 it failed, 2 the command line or the configuration is wrong. What scripts read comes as
JSON with `--json`, on standard output; everything said to a person goes to standard error.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
import msgspec
import trio

from router.accounts.errors import AccountsError, UnknownKey
from router.accounts.keys import ApiKey
from router.accounts.store import KeyStore
from router.app import VERSION, serve_gateway, store_path
from router.catalog.catalog import Catalog
from router.catalog.models import load_seed
from router.catalog.routes import Route
from router.cli_simulate import simulate
from router.config import Config, ConfigError, find_config, load_config, rules
from router.demo import run_demo
from router.observe.bridge import configure_logging
from router.observe.trace import TracingUnavailableError
from router.process import allow_many_open_files, stop_on_signal
from router.quickstart import quickstart_model, quickstart_text
from router.simulator import REALISTIC, Latency, Profile
from router.simulator.option import LatencyParameter
from router.upstream.dial import TcpDialer

_CONFIG_OPTION = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration file (default: $SYZE_CONFIG, ./syze.toml, the user's configuration folder, "
    "else providers from the environment).",
)
_JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Write JSON, for scripts.")


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
@_CONFIG_OPTION
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
    bind: tuple[str, ...],
    port: int | None,
    quickstart: bool,  # noqa: FBT001 - a click flag
) -> None:
    """Serve the gateway until SIGTERM or Ctrl-C, then finish the streams in flight."""
    config = _with_bind(_load(config_path), bind, port)
    if config.providers:
        secret = _quickstart_key(config) if quickstart else None
        _run(partial(_serve, config, secret))
    elif quickstart:
        _run(partial(_serve_demo, config, REALISTIC))
    else:
        raise click.ClickException(
            "no provider is configured: set a variable such as OPENAI_API_KEY, write a syze.toml, "
            "or try 'syze demo'"
        )


@main.command()
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
def demo(port: int, ttft: Latency, gap: Latency) -> None:
    """Serve the gateway over simulated providers, with a fresh key: nothing to configure or pay."""
    profile = Profile(ttft=ttft, gap=gap)
    _run(partial(_serve_demo, _with_bind(Config(), (), port), profile))


@main.group()
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command("create")
@_CONFIG_OPTION
@click.option("--name", default="default", show_default=True, help="What the key is for.")
@_JSON_OPTION
def keys_create(config_path: Path | None, name: str, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Create a key and show it, this once."""
    with _open_store(config_path) as store:
        key, secret = store.create(name)
    if as_json:
        _write_json({**_key_facts(key), "key": secret})
    else:
        click.echo(secret)
        click.echo(
            f"Key {key.id} ({key.name}). It is stored hashed and cannot be shown again.", err=True
        )


@keys.command("list")
@_CONFIG_OPTION
@click.option("--all", "include_revoked", is_flag=True, help="Also those that were revoked.")
@_JSON_OPTION
def keys_list(config_path: Path | None, include_revoked: bool, as_json: bool) -> None:  # noqa: FBT001 - click flags
    """List the keys, tab-separated: id, name, hint, created, revoked."""
    with _open_store(config_path) as store:
        found = store.list_keys(include_revoked=include_revoked)
    if as_json:
        _write_json([_key_facts(key) for key in found])
        return
    for key in found:
        facts = _key_facts(key)
        click.echo("\t".join(str(facts[name] or "-") for name in facts))


@keys.command("revoke")
@_CONFIG_OPTION
@click.argument("key")
@_JSON_OPTION
def keys_revoke(config_path: Path | None, key: str, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Revoke KEY (its id, name, hint or the key itself); it stops working within a second."""
    with _open_store(config_path) as store:
        revoked = store.revoke(key)
    if as_json:
        _write_json(_key_facts(revoked))
    else:
        click.echo(f"Revoked {revoked.id} ({revoked.name}).", err=True)


@main.command()
@_CONFIG_OPTION
@click.option("--provider", help="Only the models of this provider.")
@_JSON_OPTION
def models(config_path: Path | None, provider: str | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """List the models that are routed, tab-separated: id, provider, context, input and output price."""
    catalog = Catalog(_load(config_path), load_seed())
    routes = [route for route in catalog.listing() if provider in {None, route.owned_by}]
    if as_json:
        _write_json([_model_facts(route) for route in routes])
        return
    for route in routes:
        facts = _model_facts(route)
        click.echo("\t".join("-" if value is None else str(value) for value in facts.values()))


main.add_command(simulate)


@main.group("config")
def config_group() -> None:
    """Work with the configuration."""


@config_group.command("check")
@_CONFIG_OPTION
@_JSON_OPTION
def config_check(config_path: Path | None, as_json: bool) -> None:  # noqa: FBT001 - a click flag
    """Read the configuration as `serve` would, and say what is wrong with it (exit code 2)."""
    try:
        config = load_config(config_path, os.environ)
    except ConfigError as error:
        if as_json:
            _write_json({"ok": False, "problems": [msgspec.to_builtins(p) for p in error.problems]})
        else:
            click.echo(str(error), err=True)
        sys.exit(2)
    catalog = Catalog(config, load_seed())
    source = config_path or find_config(os.environ)
    facts = {
        "ok": True,
        "source": str(source) if source is not None else "environment",
        "providers": sorted(config.providers),
        "models": len(catalog.listing()),
        "unresolved_aliases": list(catalog.unresolved_aliases()),
        "missing_models": [
            {"entry": entry, "model": model} for entry, model in catalog.missing_models()
        ],
    }
    if as_json:
        _write_json(facts)
        return
    click.echo(
        f"The configuration from {facts['source']} is good: {len(config.providers)} providers, "
        f"{facts['models']} models."
    )
    for alias in catalog.unresolved_aliases():
        click.echo(f"The alias '{alias}' leads to no known model at present.", err=True)
    for entry, model in catalog.missing_models():
        click.echo(f"The entry '{entry}' names '{model}', which is not known at present.", err=True)


async def _serve(config: Config, secret: str | None) -> None:
    """Serve until a signal; print the quickstart lines for `secret` once it listens."""
    allow_many_open_files()
    log = configure_logging(config.log.level, config.log.format)
    stop = trio.Event()

    def announce(urls: list[str]) -> None:
        log.logger.info("listening", urls=urls, version=VERSION)
        if secret is not None:
            model = quickstart_model(Catalog(config, load_seed()))
            click.echo(quickstart_text(urls[0], secret, model))

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
    except* (OSError, AccountsError, TracingUnavailableError) as group:
        failures.extend(_leaves(group))
    if failures:
        raise click.ClickException("; ".join(str(failure) for failure in failures))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors themselves, out of the groups that the nurseries on their way put them in."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _load(config_path: Path | None) -> Config:
    try:
        return load_config(config_path, os.environ)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(2)


def _with_bind(config: Config, bind: tuple[str, ...], port: int | None) -> Config:
    addresses = list(bind) if port is None else [*bind, f"127.0.0.1:{port}"]
    if not addresses:
        return config
    return msgspec.structs.replace(
        config, server=msgspec.structs.replace(config.server, bind=addresses)
    )


def _quickstart_key(config: Config) -> str:
    """Make the quickstart's key; those of earlier starts stop working."""
    with _store_of(config) as store:
        with suppress(UnknownKey):  # there is none at the first start
            store.revoke_all_named("quickstart")
        return store.create("quickstart")[1]


def _open_store(config_path: Path | None) -> AbstractContextManager[KeyStore]:
    return _store_of(_load(config_path))


@contextmanager
def _store_of(config: Config) -> Iterator[KeyStore]:
    try:
        with KeyStore.open(store_path(config)) as store:
            yield store
    except AccountsError as error:
        raise click.ClickException(str(error)) from error


def _key_facts(key: ApiKey) -> dict[str, str | None]:
    return {
        "id": key.id,
        "name": key.name,
        "hint": key.hint,
        "created_at": _date(key.created_at),
        "revoked_at": None if key.revoked_at is None else _date(key.revoked_at),
    }


def _model_facts(route: Route) -> dict[str, object]:
    model = route.model
    prices = model.usd_per_mtok if model is not None else {}
    return {
        "id": route.id,
        "provider": route.owned_by,
        "context_tokens": model.context_tokens if model is not None else None,
        "input_usd_per_mtok": prices.get("input"),
        "output_usd_per_mtok": prices.get("output"),
    }


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def _write_json(value: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))

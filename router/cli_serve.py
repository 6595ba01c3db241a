"""`syze serve`: the gateway, until a signal ends it."""

import os
from contextlib import suppress
from functools import partial
from pathlib import Path

import click

from router.accounts.errors import UnknownKey
from router.accounts.store import KeyStore
from router.billing.opening import load_priced
from router.cli_frame import CONFIG_OPTION, load_or_exit, open_store
from router.cli_serving import WORKERS_OPTION, run, serve_until_signal, with_options
from router.config import Config, rules


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


@click.command()
@CONFIG_OPTION
@WORKERS_OPTION
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
    config = with_options(config, bind=bind, port=port, workers=workers)
    if config.providers:
        secret = _quickstart_key(config) if quickstart else None

        def read_config() -> Config:
            read = load_priced(config_path, os.environ)
            return with_options(read, bind=bind, port=port, workers=workers)

        run(partial(serve_until_signal, config, secret, read_config=read_config))
    elif quickstart:
        # Who serves real providers does without the simulated ones.
        from router.cli_demo import serve_demo  # noqa: PLC0415
        from router.simulator import REALISTIC  # noqa: PLC0415

        run(partial(serve_demo, config, REALISTIC))
    else:
        raise click.ClickException(
            "no provider is configured: set a variable such as OPENAI_API_KEY, write a syze.toml, "
            "or try 'syze demo'"
        )


def _quickstart_key(config: Config) -> str:
    """Make the quickstart's key; those of earlier starts stop working."""
    with open_store(config) as database:
        store = KeyStore(database)
        with suppress(UnknownKey):  # there is none at the first start
            store.revoke_all_named("quickstart")
        return store.create("quickstart")[1]

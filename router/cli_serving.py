"""What the commands share that serve: options, the log, signals, and what is said of a failure."""

from collections.abc import Awaitable, Callable

import click
import msgspec
import trio

from router.catalog.catalog import Catalog
from router.catalog.models import load_seed
from router.config import Config
from router.loading import collector_paused
from router.observe.bridge import configure_logging
from router.process import allow_many_open_files, prepare_interpreter, stop_on_signal
from router.quickstart import quickstart_model, quickstart_text
from router.version import VERSION
from router.workers.failure import MENDABLE, leaves
from router.workers.supervisor import serve_with_workers

WORKERS_OPTION = click.option(
    "--workers", type=click.IntRange(1, 64), help="Serve with so many processes, not as configured."
)


async def serve_until_signal(
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
    # A supervisor, above, serves nobody: it does without the gateway.
    with collector_paused():
        from router.app import serve_gateway  # noqa: PLC0415
        from router.upstream.dial import TcpDialer  # noqa: PLC0415

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stop_on_signal, stop)
        await serve_gateway(config, log=log, dial=TcpDialer(), stop=stop, on_listening=announce)
        nursery.cancel_scope.cancel()


def run(main_task: Callable[[], Awaitable[None]]) -> None:
    """Run to the end; say in one line what an operator can mend (exit code 1)."""
    failures: list[BaseException] = []
    try:
        trio.run(main_task)
    except* MENDABLE as group:
        failures.extend(leaves(group))
    if failures:
        raise click.ClickException("; ".join(str(failure) for failure in failures))


def with_options(
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

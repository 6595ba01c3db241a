"""Serving: a gateway on real sockets, files and databases, until it is told to stop.

It then ends gracefully: not ready any more, no new connections, streams in flight finish, exit (invariant
I10).
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import trio

from limiter.local import LocalLimiter
from limiter.table import Table
from router.accounts.errors import StoreError
from router.accounts.store import KeyStore
from router.admission.engine import LocalEngine
from router.config import Config
from router.front.server import Server, open_listeners, server_ssl_context
from router.gateway import Gateway
from router.observe.log import Log
from router.observe.trace import tracer_from_environment
from router.upstream.dial import Dial
from router.version import VERSION
from router.workers.seat import Seat


async def serve_gateway(  # noqa: PLR0913 - what the whole process is made of comes in here
    config: Config,
    *,
    log: Log,
    dial: Dial,
    stop: trio.Event,
    environ: Mapping[str, str] = os.environ,
    seat: Seat | None = None,
    on_listening: Callable[[list[str]], None] = lambda _urls: None,
) -> None:
    """Serve until `stop` is set, then drain. `on_listening` hears the base URLs once they answer.

    A `seat` is a worker's place among its siblings, with the sockets it was given.

    Raises `OSError` when an address or file cannot be used, `StoreError` for the key store.
    """
    tracer = tracer_from_environment(environ, version=VERSION)
    given = None if seat is None else seat.listeners
    listeners = await open_listeners(config.server.bind) if given is None else list(given)
    try:
        with (
            await trio.to_thread.run_sync(KeyStore.open, store_location(config)) as store,
            Table.open(limits_folder(config)) as table,
        ):
            engine = LocalEngine(LocalLimiter(table), clock=time.monotonic)
            gateway = Gateway(config, log=log, dial=dial, engine=engine, tracer=tracer, seat=seat)
            gateway.ring.replace((await trio.to_thread.run_sync(store.load))[1])
            await _serve_until_stopped(
                gateway, store, listeners, stop=stop, on_listening=on_listening
            )
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            for listener in listeners:
                await listener.aclose()
            await trio.to_thread.run_sync(tracer.shutdown, abandon_on_cancel=True)


async def _serve_until_stopped(
    gateway: Gateway,
    store: KeyStore,
    listeners: list[trio.SocketListener],
    *,
    stop: trio.Event,
    on_listening: Callable[[list[str]], None],
) -> None:
    server_config = gateway.config.server
    context = None
    if server_config.tls_certificate is not None and server_config.tls_key is not None:
        context = server_ssl_context(server_config.tls_certificate, server_config.tls_key)
    server = Server(gateway.front, server_config, listeners, ssl_context=context)
    async with trio.open_nursery() as nursery:
        await nursery.start(gateway.run, store)
        async with trio.open_nursery() as serving:
            await serving.start(server.run)
            on_listening(_base_urls(listeners, tls=context is not None))
            await stop.wait()
            gateway.stop_being_ready()
            if not gateway.seat.relieved:
                await trio.sleep(server_config.lame_duck_seconds)
            await server.stop(drain_seconds=server_config.drain_seconds)
        nursery.cancel_scope.cancel()


def store_location(config: Config) -> str:
    """Return where accounts and keys are kept: a path, or a URL that may hold a password.

    `load_config` always sets one of them. Raises `StoreError` if nobody did.
    """
    if config.store.url is not None:
        return config.store.url.reveal()
    if config.store.path is None:
        raise StoreError("no path and no URL is configured for the store")
    return config.store.path


def limits_folder(config: Config) -> Path:
    """Return where the workers of this machine keep their counts: in memory, where there is such a folder.

    Gateways with different stores have different keys, so each has a folder of its own.
    """
    if config.limits.folder is not None:
        return Path(config.limits.folder)
    store = store_location(config).encode()
    name = f"syze-{os.getuid()}-{hashlib.sha256(store).hexdigest()[:12]}"
    shared = Path("/dev/shm")  # noqa: S108 - the folder made in it is private
    base = shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
    return base / name


def _base_urls(listeners: list[trio.SocketListener], *, tls: bool) -> list[str]:
    urls = []
    for listener in listeners:
        host, port = listener.socket.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        urls.append(f"{'https' if tls else 'http'}://{name}:{port}/v1")
    return urls

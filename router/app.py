"""Serving: a gateway on real sockets, files and databases, until it is told to stop.

It then ends gracefully: not ready any more, no new connections, streams in flight finish, exit (invariant
I10).
"""

import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

import trio

from router.config import Config
from router.front.listeners import open_listeners
from router.front.server import Server, server_ssl_context
from router.observe.log import Log
from router.observe.trace import tracer_from_environment
from router.opening import Worker, open_worker
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

    Raises `OSError` when an address or file cannot be used, `StoreError` for the store.
    """
    tracer = tracer_from_environment(environ, version=VERSION)
    given = None if seat is None else seat.listeners
    listeners = await open_listeners(config.server.bind) if given is None else list(given)
    try:
        async with AsyncExitStack() as stack:
            worker = await open_worker(
                stack, config, log=log, dial=dial, tracer=tracer, seat=seat or Seat()
            )
            await _serve_until_stopped(worker, listeners, stop=stop, on_listening=on_listening)
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            for listener in listeners:
                await listener.aclose()
            await trio.to_thread.run_sync(tracer.shutdown, abandon_on_cancel=True)


async def _serve_until_stopped(
    worker: Worker,
    listeners: list[trio.SocketListener],
    *,
    stop: trio.Event,
    on_listening: Callable[[list[str]], None],
) -> None:
    gateway = worker.gateway
    server_config = gateway.config.server
    context = None
    if server_config.tls_certificate is not None and server_config.tls_key is not None:
        context = server_ssl_context(
            server_config.tls_certificate, server_config.tls_key, http2=server_config.http2
        )
    front = gateway.front
    server = Server(
        front,
        server_config,
        listeners,
        plane=front.data_plane,
        ssl_context=context,
        netpoll=gateway.netpoll,
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(worker.run)
        async with trio.open_nursery() as serving:
            await serving.start(server.run)
            on_listening(_base_urls(listeners, tls=context is not None))
            await stop.wait()
            gateway.stop_being_ready()
            if not gateway.seat.relieved:
                await trio.sleep(server_config.lame_duck_seconds)
            await server.stop(drain_seconds=server_config.drain_seconds)
        nursery.cancel_scope.cancel()


def _base_urls(listeners: list[trio.SocketListener], *, tls: bool) -> list[str]:
    urls = []
    for listener in listeners:
        host, port = listener.socket.getsockname()[:2]
        name = f"[{host}]" if ":" in host else host
        urls.append(f"{'https' if tls else 'http'}://{name}:{port}/v1")
    return urls

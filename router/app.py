"""Composition: everything is built here, once, and the process's nursery belongs here.

`Gateway` is one worker: key ring, catalog, upstream client, exchange, front. `serve_gateway` runs it on real
sockets until it is told to stop, and then ends gracefully: not ready any more, no new connections, streams in
flight finish, exit (invariant I10).
"""

import hashlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Final

import trio

from limiter.estimate import Estimator
from limiter.local import LocalLimiter
from limiter.table import Table
from router.accounts.errors import StoreError
from router.accounts.keyring import KeyRing
from router.accounts.store import KeyStore
from router.accounts.watch import KeySource, watch_keys
from router.admission.admission import Admission
from router.admission.engine import Engine, LocalEngine
from router.catalog.candidate import ProviderWire
from router.catalog.catalog import Catalog
from router.catalog.discovery import discover_forever
from router.catalog.models import load_seed
from router.config import Config, RaceConfig
from router.exchange.attempt import Attempts
from router.exchange.books import Bill
from router.exchange.drains import Drains
from router.exchange.endpoint import headers_of, target_of
from router.exchange.exchange import Exchange
from router.exchange.live import HedgeSettings, LiveEndpoints
from router.exchange.racing import Racing
from router.front.app import Front
from router.front.control import Control
from router.front.endpoints import Endpoints
from router.front.server import Server, open_listeners, server_ssl_context
from router.observe.log import Log
from router.observe.metrics import Metrics
from router.observe.observer import Observer
from router.observe.record import RequestRecord
from router.observe.trace import Tracer, tracer_from_environment
from router.routing.budget import AttemptBudget
from router.routing.director import RaceLimits
from router.upstream.client import OutgoingRequest, PoolLimits, UpstreamClient
from router.upstream.dial import Dial
from router.upstream.origin import Origin, parse_base_url
from router.workers.page import MetricsPage
from router.workers.seat import Seat

VERSION: Final = version("syzeai")
USER_AGENT: Final = f"syzeai/{VERSION}"
IDLE_SWEEP_SECONDS: Final = 5.0
MAX_LIST_BYTES: Final = 32 * 1024 * 1024


class ListingFailed(Exception):
    """A provider did not give its list of models."""


class Gateway:
    """One worker's parts, put together. `dial` opens upstream connections, so tests can bring their own."""

    def __init__(  # noqa: PLR0913 - what the whole process is made of comes in here
        self,
        config: Config,
        *,
        log: Log,
        dial: Dial,
        engine: Engine,
        tracer: Tracer,
        wall_clock: Callable[[], float] = time.time,
        rng: Random | None = None,
        seat: Seat | None = None,
    ) -> None:
        self.seat = seat or Seat()
        rng = rng or Random()  # noqa: S311 - for spreading load, not for secrets
        self.config = config
        self.logger = log.logger
        self.ring = KeyRing(wall_clock=wall_clock)
        self.catalog = Catalog(config, load_seed())
        self.client = UpstreamClient(dial=dial, limits=_pool_limits(config))
        race = config.race
        self.live = LiveEndpoints(
            USER_AGENT,
            HedgeSettings(quantile=race.hedge_quantile, minimum=race.hedge_minimum),
        )
        self.tracer = tracer
        self.metrics = Metrics(
            version=VERSION,
            knows_model=self._knows_model,
            pool=self.client.snapshot,
            lost_log_lines=lambda: log.writer.lost_lines,
        )
        self.page = MetricsPage(self.metrics.render, self.seat)
        self.observer = Observer(
            logger=log.logger,
            metrics=self.metrics,
            tracer=tracer,
            now=trio.current_time,
            wall_clock=wall_clock,
        )
        self.drains = Drains(seconds=race.drain_seconds, late=self._note_costs)
        self.admission = Admission(
            config.limits,
            engine,
            estimator=Estimator(),
            tiers_that_have=self._tiers_that_have,
        )
        self._exchange = Exchange(
            catalog=self.catalog,
            admission=self.admission,
            attempts_of=lambda call, record: Attempts(
                call, self.client, self.observer.child_traceparent(record), wall_clock
            ),
            racing=Racing(
                live=self.live,
                budget=AttemptBudget(ratio=race.budget_ratio, burst=race.budget_burst),
                limits=_race_limits(race),
                drains=self.drains,
                rng=rng,
            ),
            settle=self._settle,
            comment_every=config.server.keepalive_comment_seconds,
        )
        self.endpoints = Endpoints(ring=self.ring, exchange=self._exchange, observer=self.observer)
        self.front = Front(self.endpoints, self._control(), config.server)

    async def run(
        self, store: KeySource, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run what goes on beside requests (keys, discovery, idle connections) until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    partial(watch_keys, store, self.ring, on_error=self._key_trouble)
                )
                await nursery.start(self.drains.run)
                nursery.start_soon(self._sweep_idle)
                nursery.start_soon(
                    partial(
                        discover_forever, self.catalog, self._fetch_list, report=self._list_trouble
                    )
                )
                if self.config.metrics.enabled:
                    await nursery.start(self.page.serve)
                task_status.started()
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await self.client.aclose()

    def stop_being_ready(self) -> None:
        """Answer `/readyz` with 503 from now on, and count what is cancelled as shut down."""
        self.endpoints.stopping = True
        self._exchange.stopping = True

    def _control(self) -> Control:
        return Control(
            ring=self.ring,
            catalog=self.catalog,
            ready=lambda: not self.endpoints.stopping,
            metrics=self.page.render if self.config.metrics.enabled else None,
            on_bug=lambda request_id, error: self.logger.error(
                "control route failed", request_id=request_id, exc_info=error
            ),
        )

    async def _sweep_idle(self) -> None:
        while True:
            await trio.sleep(IDLE_SWEEP_SECONDS)
            self.client.close_idle(trio.current_time())

    async def _fetch_list(self, wire: ProviderWire) -> bytes:
        origin, prefix = parse_base_url(wire.base_url)
        target = target_of(wire, prefix, wire.paths.models)
        response = await self.client.send(
            origin, OutgoingRequest(b"GET", target, headers_of(wire, USER_AGENT), b"")
        )
        try:
            if response.status != 200:
                raise ListingFailed(f"status {response.status}")
            return await response.read(MAX_LIST_BYTES)
        finally:
            response.discard()

    def _tiers_that_have(self, model: str) -> list[str]:
        return self.ring.snapshot.tiers_that_have(model)

    def _settle(self, _record: RequestRecord, bill: Bill) -> None:
        self._note_costs(bill)

    def _note_costs(self, bill: Bill) -> None:
        for charge in bill.charges:
            self.metrics.observe_attempt(
                charge.provider,
                role=charge.role,
                fate=charge.fate if bill.ending != "drained" else "drained",
                payer=charge.payer,
                tokens=charge.usage.input_tokens + charge.usage.output_tokens,
            )

    def _knows_model(self, model: str) -> bool:
        return self.catalog.resolve(model) is not None

    def _key_trouble(self, error: Exception) -> None:
        self.logger.error("the key store cannot be read; known keys go on working", exc_info=error)

    def _list_trouble(self, provider: str, error: Exception) -> None:
        self.logger.warning(
            "a provider did not list its models", provider=provider, error=type(error).__name__
        )


def _race_limits(race: RaceConfig) -> RaceLimits:
    return RaceLimits(
        patience=race.patience,
        slow=race.slow_first_token,
        max_attempts=race.max_attempts,
        hedge=race.hedge,
    )


def _pool_limits(config: Config) -> PoolLimits:
    """Allow each origin what the providers that live there are allowed together."""
    allowed: Counter[Origin] = Counter()
    for provider in config.providers.values():
        if provider.base_url is not None:
            allowed[parse_base_url(provider.base_url)[0]] += provider.max_connections
    return PoolLimits(by_origin=allowed)


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

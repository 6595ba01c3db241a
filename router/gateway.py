"""One worker of the gateway: its parts, put together.

Everything is built here, once, and the process's nursery belongs to `Gateway.run`. What it runs on (sockets,
files, databases) is opened by `router.app`, so that tests can bring their own.
"""

import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Final

import trio

from limiter.estimate import Estimator
from router.accounts.keyring import KeyRing
from router.accounts.watch import KeySource, watch_keys
from router.admission.admission import Admission
from router.admission.engine import Engine
from router.billing.billing import Billing
from router.catalog.candidate import ProviderWire
from router.catalog.catalog import Catalog
from router.catalog.discovery import discover_forever
from router.catalog.models import load_seed
from router.config import Config, RaceConfig
from router.console.console import Console
from router.console.stores import Stores
from router.exchange.alarms import Alarms
from router.exchange.attempt import Means
from router.exchange.bearers import Bearers
from router.exchange.books import Bill, Whose
from router.exchange.closing import Settle
from router.exchange.drains import Drains
from router.exchange.endpoint import list_request
from router.exchange.exchange import Exchange
from router.exchange.live import HedgeSettings, LiveEndpoints
from router.exchange.pump import Pump
from router.exchange.racing import Racing
from router.exchange.relay import StreamRelay
from router.exchange.reply import Reply
from router.front.app import Front
from router.front.body import BodyLimits
from router.front.control import Control
from router.front.endpoints import Endpoints
from router.netpoll import HAS_EPOLL, Netpoll
from router.observe.log import Log
from router.observe.metrics import Metrics
from router.observe.observer import Observer
from router.observe.trace import Tracer
from router.routing.budget import AttemptBudget
from router.routing.opening import RaceLimits
from router.upstream.client import OutgoingRequest, PoolLimits, UpstreamClient
from router.upstream.dial import Dial
from router.upstream.fetching import Fetcher
from router.upstream.origin import Origin, parse_base_url
from router.version import USER_AGENT, VERSION
from router.workers.page import MetricsPage
from router.workers.seat import Seat

IDLE_SWEEP_SECONDS: Final = 5.0
MAX_LIST_BYTES: Final = 32 * 1024 * 1024


class ListingFailed(Exception):
    """A provider did not give its list of models."""


class Gateway:
    """One worker's parts, put together. `dial` opens upstream connections, so tests can bring their own.

    `fetcher` gets files from clients' URLs, `None` where nothing is fetched. `stores` are what the console
    works on; without them there is none.
    """

    def __init__(  # noqa: PLR0913 - what the whole process is made of comes in here
        self,
        config: Config,
        *,
        log: Log,
        dial: Dial,
        engine: Engine,
        billing: Billing,
        tracer: Tracer,
        fetcher: Fetcher | None = None,
        stores: Stores | None = None,
        wall_clock: Callable[[], float] = time.time,
        rng: Random | None = None,
        seat: Seat | None = None,
    ) -> None:
        self.seat = seat or Seat()
        self.billing = billing
        rng = rng or Random()  # noqa: S311 - for spreading load, not for secrets
        self.config = config
        self.log = log
        self.ring = KeyRing(wall_clock=wall_clock)
        self.catalog = Catalog(config, load_seed())
        self._fetch_all = None if fetcher is None else fetcher.fetch_all
        self.netpoll = Netpoll() if HAS_EPOLL else None
        self.client = _client_of(config, dial, self.netpoll)
        self.bearers = Bearers(self.client, wall_clock)
        race = config.race
        self.live = LiveEndpoints(USER_AGENT, _hedging(race))
        self.tracer = tracer
        self.metrics = Metrics(
            version=VERSION,
            knows_model=self._knows_model,
            pool=self.client.snapshot,
            lost_log_lines=lambda: log.writer.lost_lines,
        )
        self.page = MetricsPage(self.metrics.render, self.seat)
        self.observer = Observer(
            requests=log.requests,
            metrics=self.metrics,
            tracer=tracer,
            now=trio.lowlevel.current_clock().current_time,
            wall_clock=wall_clock,
        )
        self.drains = Drains(
            seconds=race.drain_seconds, late=self._settle_late, on_bug=self._drain_trouble
        )
        self.alarms = Alarms()
        self.admission = Admission(
            config.limits,
            engine,
            estimator=Estimator(),
            tiers_that_have=self._tiers_that_have,
            purse=billing.purse,
        )
        self.pump = _pump_of(config, self.alarms)
        self._exchange = self._make_exchange(rng, wall_clock)
        self.endpoints = self._make_endpoints()
        self.front = Front(self.endpoints, self._control(), config.server)
        if stores is not None:
            self._console(stores, wall_clock).install(self.front)

    async def run(
        self, store: KeySource, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Run what goes on beside requests (keys, discovery, idle connections, log) until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(
                    partial(watch_keys, store, self.ring, on_error=self._key_trouble)
                )
                await nursery.start(self.observer.run)
                await nursery.start(self.drains.run)
                await nursery.start(self.alarms.run)
                if self.netpoll is not None:
                    await nursery.start(self.netpoll.run)
                if self.pump is not None:
                    await nursery.start(self.pump.run)
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
            prices=self.billing.prices,
            ready=lambda: not self.endpoints.stopping,
            metrics=self.page.render if self.config.metrics.enabled else None,
            on_bug=lambda request_id, error: self.log.logger.error(
                "control route failed", request_id=request_id, exc_info=error
            ),
        )

    def _make_exchange(self, rng: Random, wall_clock: Callable[[], float]) -> Exchange:
        race = self.config.race
        return Exchange(
            catalog=self.catalog,
            admission=self.admission,
            means=Means(
                client=self.client,
                alarms=self.alarms,
                bearers=self.bearers,
                fetch_all=self._fetch_all,
                wall_clock=wall_clock,
                trace_headers=self.observer.trace_headers,
            ),
            racing=Racing(
                live=self.live,
                budget=AttemptBudget(ratio=race.budget_ratio, burst=race.budget_burst),
                limits=_race_limits(race),
                drains=self.drains,
                alarms=self.alarms,
                rng=rng,
            ),
            settle=self._settle_with(),
            relay_of=self._relay_of,
        )

    def _make_endpoints(self) -> Endpoints:
        server = self.config.server
        return Endpoints(
            ring=self.ring,
            exchange=self._exchange,
            observer=self.observer,
            body_limits=BodyLimits(server.max_body_bytes, server.body_seconds),
        )

    def _relay_of(self, reply: Reply, request_id: str) -> StreamRelay:
        comment_every = self.config.server.keepalive_comment_seconds
        return StreamRelay(
            reply, request_id=request_id, comment_every=comment_every, pump=self.pump
        )

    def _console(self, stores: Stores, wall_clock: Callable[[], float]) -> Console:
        return Console(
            self.config.admin,
            stores,
            ring=self.ring,
            wall_clock=wall_clock,
            report=self._console_trouble,
        )

    async def _sweep_idle(self) -> None:
        while True:
            await trio.sleep(IDLE_SWEEP_SECONDS)
            self.client.close_idle(trio.current_time())

    async def _fetch_list(self, wire: ProviderWire) -> bytes:
        origin, target, headers = list_request(wire, USER_AGENT)
        response = await self.client.send(origin, OutgoingRequest(b"GET", target, headers, b""))
        try:
            if response.status != 200:
                raise ListingFailed(f"status {response.status}")
            return await response.read(MAX_LIST_BYTES)
        finally:
            response.discard()

    def _tiers_that_have(self, model: str) -> list[str]:
        return self.ring.snapshot.tiers_that_have(model)

    def _settle_with(self) -> Settle:
        return self.billing.settling.settle

    def _settle_late(self, whose: Whose, bill: Bill) -> None:
        for charge in bill.charges:
            self.metrics.observe_cost(charge)
        self.billing.settling.settle_late(whose, bill)

    def _knows_model(self, model: str) -> bool:
        return self.catalog.resolve(model) is not None

    def _drain_trouble(self, error: Exception) -> None:
        self.log.logger.error("an answer could not be read on for its usage", exc_info=error)

    def _key_trouble(self, error: Exception) -> None:
        self.log.logger.error(
            "the key store cannot be read; known keys go on working", exc_info=error
        )

    def _console_trouble(self, what: str, error: Exception) -> None:
        self.log.logger.error(what, exc_info=error)

    def _list_trouble(self, provider: str, error: Exception) -> None:
        self.log.logger.warning(
            "a provider did not list its models", provider=provider, error=type(error).__name__
        )


def _race_limits(race: RaceConfig) -> RaceLimits:
    return RaceLimits(
        patience=race.patience,
        slow=race.slow_first_token,
        max_attempts=race.max_attempts,
        hedge=race.hedge,
    )


def _pump_of(config: Config, alarms: Alarms) -> Pump | None:
    return Pump(alarms) if config.server.relay == "pump" and HAS_EPOLL else None


def _hedging(race: RaceConfig) -> HedgeSettings:
    return HedgeSettings(quantile=race.hedge_quantile, minimum=race.hedge_minimum)


def _client_of(config: Config, dial: Dial, netpoll: Netpoll | None) -> UpstreamClient:
    return UpstreamClient(dial=dial, limits=_pool_limits(config), netpoll=netpoll)


def _pool_limits(config: Config) -> PoolLimits:
    """Allow each origin what the providers that live there are allowed together."""
    allowed: Counter[Origin] = Counter()
    for provider in config.providers.values():
        if provider.base_url is not None:
            allowed[parse_base_url(provider.base_url)[0]] += provider.max_connections
    return PoolLimits(by_origin=allowed)

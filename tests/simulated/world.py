"""The whole gateway on in-memory streams: real front, exchange, upstream client and simulator; no sockets.

Requests go in through the ASGI application, as a server would hand them over; upstream connections are
memory streams that end in a `Simulator`, the one of the host that is dialled. Under trio's MockClock
everything timed is exact. `leak_check` is how every scenario ends.
"""

import io
import math
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import msgspec
import trio
import trio.testing
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from trio.testing import memory_stream_pair

from limiter.local import LocalLimiter
from limiter.table import Table
from router.accounts.caller import Caller
from router.accounts.keys import ApiKey, generate_key, hash_key, key_hint
from router.accounts.snapshot import Snapshot
from router.admission.admitted import Admitted
from router.admission.engine import LocalEngine
from router.billing.billing import Billing
from router.billing.opening import price_list
from router.catalog.models import load_seed
from router.config import Config, ProviderConfig, ServerConfig, TimeoutConfig
from router.exchange.books import Bill, Whose
from router.exchange.closing import Settle
from router.exchange.pump import Pump
from router.front.asgi import AsgiBody, AsgiReply, Headers
from router.front.http1.message import RequestHead
from router.front.http1.turn import Turn
from router.gateway import Gateway
from router.ledger.journal import JournalFull
from router.ledger.settlement import Settlement
from router.observe.log import make_log
from router.observe.record import RequestRecord
from router.observe.trace import Tracer
from router.simulator import Profile, Simulator
from router.upstream.fetching import Fetcher
from router.upstream.origin import Origin

INSTANT = Profile()
_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
MODEL = "openai/gpt-4o-mini"


class ClientAnswer:
    """What one client has received so far."""

    def __init__(self) -> None:
        self.status = 0
        self.head_at = 0.0
        self.headers: dict[str, str] = {}
        self.pieces: list[tuple[float, bytes]] = []
        self.finished = False
        self.after_the_end: list[object] = []

    @property
    def body(self) -> bytes:
        return b"".join(piece for _, piece in self.pieces)

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def events(self) -> list[bytes]:
        """The data of each event, comments left out."""
        return [
            block.removeprefix(b"data: ")
            for block in self.body.split(b"\n\n")
            if block and not block.startswith(b":")
        ]

    def text(self) -> str:
        """The answer's text, put together from the deltas of choice 0."""
        deltas = [msgspec.json.decode(event) for event in self.events() if event != b"[DONE]"]
        return "".join(
            choice["delta"].get("content") or ""
            for delta in deltas
            for choice in delta.get("choices", [])
            if choice["index"] == 0
        )


class Client:
    """One client connection, seen from the side of the gateway.

    `leave` disconnects; while `reading` is not set, the gateway's sends wait as for a slow client. `sent_now`
    counts how often it was sent to without waiting. Its requests run within `life`.
    """

    def __init__(self, body: bytes, *, pieces: int = 1) -> None:
        step = max(1, math.ceil(len(body) / pieces))
        parts = [body[start : start + step] for start in range(0, len(body), step)] or [b""]
        self._parts = list(reversed(parts))
        self._left = trio.Event()
        self.reading = trio.Event()
        self.reading.set()
        self.answer = ClientAnswer()
        self.life = trio.CancelScope()
        self.sent_now = 0
        self._cancels = False
        self._kept: list[bytes] = []

    @property
    def body_ended(self) -> bool:
        return not self._parts

    def leave(self) -> None:
        self._left.set()
        if self._cancels and not self.answer.finished:
            self.life.cancel()

    def cancel_on_leave(self) -> None:
        self._cancels = True
        if self._left.is_set():
            self.leave()

    def body_at_hand(self, most_bytes: int) -> bytes | None:
        if len(self._parts) != 1 or self._left.is_set() or len(self._parts[0]) > most_bytes:
            return None
        self.cancel_on_leave()
        return self._parts.pop()

    async def receive(self) -> dict[str, Any]:
        if self._parts and not self._left.is_set():
            await trio.lowlevel.checkpoint()
            part = self._parts.pop()
            return {"type": "http.request", "body": part, "more_body": bool(self._parts)}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.reading.wait()
        await trio.lowlevel.checkpoint()
        assert not self._kept, "what was kept goes first"
        if self.answer.finished:
            self.answer.after_the_end.append(message)
        if message["type"] == "http.response.start":
            self.answer.status = message["status"]
            self.answer.head_at = trio.current_time()
            self.answer.headers = {n.decode(): v.decode() for n, v in message["headers"]}
            return
        if message["body"]:
            self.answer.pieces.append((trio.current_time(), bytes(message["body"])))
        self.answer.finished = not message["more_body"]

    def send_now(self, data: bytes) -> bool:
        assert not self._kept, "what was kept goes first"
        self.sent_now += 1
        if not self.reading.is_set():
            self._kept.append(data)
            return False
        self.answer.pieces.append((trio.current_time(), data))
        return True

    async def flush(self) -> None:
        await self.reading.wait()
        await trio.lowlevel.checkpoint()
        self.answer.pieces += [(trio.current_time(), data) for data in self._kept]
        self._kept.clear()


class ClientTurn(AsgiReply):
    """A client's request as a connection of the gateway's own gives it (`router.front.http1.turn.Turn`)."""

    drops_who_stops_reading = True

    def __init__(self, client: Client) -> None:
        super().__init__(cast("ASGISendCallable", client.send), ())
        self.common_headers: Headers = ()
        self.own_headers: Headers = ()
        self._client = client
        self._body = AsgiBody(cast("ASGIReceiveCallable", client.receive))
        self.body_at_hand = client.body_at_hand
        self.next_piece = self._body.next_piece
        self.cancel_on_leave = client.cancel_on_leave

    async def start(self, status: int, headers: Headers) -> None:
        await super().start(status, [*headers, *self.common_headers, *self.own_headers])

    @property
    def body_ended(self) -> bool:
        return self._client.body_ended

    @property
    def can_send_now(self) -> bool:
        return self.sent_bytes > 0

    def send_now(self, data: bytes) -> bool:
        self.sent_bytes += len(data)
        return self._client.send_now(data)

    async def flush(self) -> None:
        await self._client.flush()


class Billed(NamedTuple):
    """The bill of one request, with its record, and the trio time at which it was written."""

    record: RequestRecord
    bill: Bill
    at: float


class BookedGateway(Gateway):
    """A gateway whose bills can be looked at: one for each request, and the `late` ones of drains."""

    def __init__(self, config: Config, **parts: Any) -> None:
        super().__init__(config, **parts)
        self.bills: list[Billed] = []
        self.late: list[Bill] = []

    def _settle_with(self) -> Settle:
        settle = super()._settle_with()

        def noted(caller: Caller, record: RequestRecord, bill: Bill, admitted: Admitted) -> None:
            self.bills.append(Billed(record, bill, trio.current_time()))
            settle(caller, record, bill, admitted)

        return noted

    def _settle_late(self, whose: Whose, bill: Bill) -> None:
        self.late.append(bill)
        super()._settle_late(whose, bill)


class Notebook:
    """What a gateway wrote down, and what it could not; while `accepts` is false it takes nothing."""

    def __init__(self) -> None:
        self.accepts = True
        self.fails = False
        self.settlements: list[Settlement] = []
        self.lost: list[Settlement] = []

    @property
    def written(self) -> int:
        return len(self.settlements)

    def append(self, settlement: Settlement) -> None:
        if self.fails:
            raise JournalFull("no room")
        self.settlements.append(settlement)


class World:
    """A running gateway, its simulated providers by host, a key that works, and the log it wrote.

    What may be replaced while it runs: `pair` makes the two ends of an upstream connection, `dialling`
    is what a dial waits for, `serve_upstream` what becomes of the provider's end. Hosts in `unreachable`
    refuse connections.
    """

    def __init__(
        self,
        gateway: "BookedGateway",
        simulators: Mapping[str, Simulator],
        secret: str,
        log: io.BytesIO,
        limiter: LocalLimiter,
    ) -> None:
        self.gateway = gateway
        self.simulators = simulators
        self.simulator = next(iter(simulators.values()))
        self.secret = secret
        self._log = log
        self.limiter = limiter
        self.notebook = Notebook()
        self.refuse_connections = False
        self.unreachable: set[str] = set()
        self.dials: list[str] = []
        self.upstream_connections = 0
        self.pair: Callable[[], tuple[trio.abc.Stream, trio.abc.Stream]] = memory_stream_pair
        self.dialling: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
        self.serve_upstream: Callable[[trio.abc.Stream], Awaitable[None]] | None = None
        self.pumps = False
        self._pumping = trio.CancelScope()

    def let_the_pump_carry(self) -> None:
        """Give upstream connections sockets, and clients a server that sends without waiting."""
        self.pumps = True
        self.pair = socket_pair

    async def run_pump(self, pump: Pump, task_status: trio.TaskStatus[None]) -> None:
        with self._pumping:
            await pump.run(task_status=task_status)

    def stop_pump(self) -> None:
        self._pumping.cancel()

    def let_tasks_carry(self) -> None:
        """Give upstream connections memory, whatever the environment says of the relay."""
        self.pumps = False
        self.pair = memory_stream_pair

    async def run(
        self,
        client: Client,
        path: str,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> ClientAnswer:
        """Serve one request to its end, as a server does for one connection."""
        given = {"authorization": f"Bearer {self.secret}"} if headers is None else dict(headers)
        raw, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "asgi": {"spec_version": "2.1", "version": "3.0"},
            "method": method,
            "scheme": "http",
            "path": unquote(raw),
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in given.items()],
            "client": ("203.0.113.9", 50000),
            "server": ("127.0.0.1", 8080),
            "state": {},
            "extensions": {},
        }
        front = self.gateway.front
        serving = None
        if self.pumps:
            request = RequestHead(method, path.encode(), "1.1", cast("Any", scope["headers"]))
            turn = cast("Turn", ClientTurn(client))
            serving = front.data_plane.serve_turn(request, turn, client=("203.0.113.9", 50000))
        application = cast("Callable[..., Awaitable[None]]", front)
        with client.life:
            await (serving or application(scope, client.receive, client.send))
        assert not client.answer.after_the_end
        return client.answer

    async def post(
        self, path: str, fields: Mapping[str, Any], *, headers: Mapping[str, str] | None = None
    ) -> ClientAnswer:
        """Send one JSON request and wait for the whole answer."""
        return await self.run(Client(msgspec.json.encode(fields)), path, headers=headers)

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> ClientAnswer:
        """Send one GET and wait for the whole answer."""
        return await self.run(Client(b""), path, method="GET", headers=headers)

    async def chat(self, **fields: Any) -> ClientAnswer:
        """Send one chat completion with a small prompt."""
        return await self.post("/v1/chat/completions", chat_fields(**fields))

    @property
    def log(self) -> io.BytesIO:
        """What the gateway has logged so far."""
        self.gateway.observer.catch_up()
        return self._log

    def log_lines(self) -> list[dict[str, Any]]:
        """The request lines logged so far."""
        lines = [msgspec.json.decode(line) for line in self.log.getvalue().splitlines()]
        return [line for line in lines if line["event"] == "request"]

    async def dial(self, nursery: trio.Nursery, origin: Origin) -> trio.abc.Stream:
        """Connect to a host's simulator, which serves in the nursery."""
        self.dials.append(origin.host)
        await self.dialling()
        if self.refuse_connections or origin.host in self.unreachable:
            raise refused(origin)
        ours, theirs = self.pair()
        nursery.start_soon(self._serve, theirs, self.simulators[origin.host])
        return ours

    async def _serve(self, theirs: trio.abc.Stream, simulator: Simulator) -> None:
        self.upstream_connections += 1
        try:
            await (self.serve_upstream or simulator.serve_stream)(theirs)
        finally:
            self.upstream_connections -= 1

    async def leak_check(self) -> None:
        """Nothing in flight or reserved, no upstream connection in use, no exchange open at the provider."""
        await trio.testing.wait_all_tasks_blocked()
        assert self.gateway.observer.in_flight == 0
        assert self.gateway.live.in_flight == 0
        assert self.gateway.drains.in_flight == 0
        assert self.gateway.alarms.pending == 0
        assert self.gateway.pump is None or self.gateway.pump.carrying == 0
        assert self.gateway.admission.waiting == 0
        assert self.limiter.standing("key:key_test", now=trio.current_time()).in_flight == 0
        snapshot = self.gateway.client.snapshot()
        assert (snapshot.leased, snapshot.connecting, snapshot.waiting) == (0, 0, 0), snapshot
        assert not any(simulator.open_exchanges for simulator in self.simulators.values())
        assert self.upstream_connections == snapshot.idle


def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """The two ends of a connection that can be polled."""
    ours, theirs = trio.socket.socketpair()
    return trio.SocketStream(ours), trio.SocketStream(theirs)


def chat_fields(**fields: Any) -> dict[str, Any]:
    """A chat request with a small prompt; `None` leaves a field out."""
    body: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    body.update(fields)
    return {name: value for name, value in body.items() if value is not None}


def world_config(**provider: Any) -> Config:
    """One provider named openai at the simulator, with short limits."""
    return Config(
        server=ServerConfig(keepalive_comment_seconds=15.0),
        providers={
            "openai": ProviderConfig(
                base_url="http://simulator/v1",
                discover=False,
                timeouts=TimeoutConfig(connect=5, first_byte=30, idle=20, total=600),
                **provider,
            )
        },
    )


@asynccontextmanager
async def open_world(
    profile: Profile = INSTANT,
    *,
    config: Config | None = None,
    hosts: Sequence[str] = ("simulator",),
    rng: random.Random | None = None,
    shared: LocalLimiter | None = None,
    provider: Callable[..., Simulator] = Simulator,
    wall_clock: Callable[[], float] | None = None,
    fetcher: Fetcher | None = None,
) -> AsyncIterator[World]:
    """Run a gateway and a simulator for each host, for the length of the block.

    `shared`: the limiter that it shares with others; it has one of its own else. `provider` makes the
    simulators. `wall_clock`: one for both sides; else that of the simulators stands still. `fetcher`: what
    it gets files with; nothing is fetched else.
    """
    still = wall_clock or (lambda: 1_800_000_000.0)
    simulators = {
        host: provider(profile, seed=seed, wall_clock=still) for seed, host in enumerate(hosts)
    }
    log_file = io.BytesIO()
    secret = generate_key()
    async with trio.open_nursery() as nursery:
        world: World

        notebook = Notebook()
        with nullcontext(shared) if shared else private_limiter() as limiter:
            engine = LocalEngine(limiter, clock=trio.current_time)
            gateway = BookedGateway(
                config or world_config(),
                log=make_log(log_file),
                dial=lambda origin: world.dial(nursery, origin),
                engine=engine,
                billing=billing_of(config or world_config(), notebook, engine),
                tracer=Tracer(),
                fetcher=fetcher,
                rng=rng or random.Random(1),
                wall_clock=wall_clock or time.time,
            )
            gateway.ring.replace(Snapshot.embedded([_key(secret)]))
            world = World(gateway, simulators, secret, log_file, limiter)
            world.notebook = notebook
            await nursery.start(gateway.alarms.run)
            if gateway.pump is not None:
                gateway.pump.gather_seconds = 0  # what is timed is exact
                await nursery.start(world.run_pump, gateway.pump)
            if os.environ.get("SYZE_RELAY") == "pump":
                world.let_the_pump_carry()
            yield world
            await gateway.client.aclose()
            nursery.cancel_scope.cancel()


def billing_of(config: Config, notebook: Notebook, engine: LocalEngine) -> Billing:
    """The billing of a gateway that writes its settlements into the notebook."""
    return Billing(
        price_list(config, load_seed()),
        notebook,
        take_debts=engine.take_debts,
        lost=notebook.lost.append,
        outage_seconds=60.0,
        wall_clock=lambda: 1_800_000_000.0,
    )


@contextmanager
def private_limiter() -> Iterator[LocalLimiter]:
    """A limiter that nobody else shares."""
    with tempfile.TemporaryDirectory(dir=_MEMORY) as folder, Table.open(Path(folder)) as table:
        yield LocalLimiter(table)


def refused(origin: Origin) -> Exception:
    """What the real dialer raises when nobody listens."""
    from router.upstream.errors import ConnectFailed

    return ConnectFailed(origin, kind="refused", detail="nobody listens here")


def in_virtual_time(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run one scenario on a fresh clock that jumps to the next deadline when all tasks wait."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(partial(scenario), clock=clock)


def _key(secret: str) -> ApiKey:
    return ApiKey(
        id="key_test",
        name="test",
        hint=key_hint(secret),
        digest=hash_key(secret),
        created_at=0.0,
    )

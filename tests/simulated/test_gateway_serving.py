"""The whole gateway as a process runs it: its own store and sockets, a start, a graceful end."""

import io
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import trio
import trio.testing

from router.accounts.errors import StoreError
from router.accounts.store import KeyStore
from router.app import serve_gateway
from router.config import Config, ProviderConfig, ServerConfig, StoreConfig
from router.observe.log import make_log
from router.simulator import Simulator
from router.upstream.origin import Origin
from tests.simulated.scripted_stream import DONE, END, FINISH, STREAM_HEAD, word
from tests.simulated.simulator_wire import Answer, WireClient
from tests.simulated.world import chat_fields

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
QUIET_SECONDS = 0.03  # real ones, as in test_server


def with_virtual_limits(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario in which sockets and threads are real, and limits come when these are quiet."""
    clock = trio.testing.MockClock(autojump_threshold=QUIET_SECONDS)
    trio.run(partial(scenario), clock=clock)


class Running:
    """A serving gateway. `release` lets the provider end the streams it has begun."""

    def __init__(self, config: Config, secret: str) -> None:
        self.config = config
        self.secret = secret
        self.urls: list[str] = []
        self.stop = trio.Event()
        self.ended = trio.Event()
        self.release = trio.Event()
        self.simulator = Simulator()
        self.log = io.BytesIO()

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as upstream:

            async def dial(_origin: Origin) -> trio.abc.Stream:
                await trio.lowlevel.checkpoint()
                ours, theirs = trio.testing.memory_stream_pair()
                upstream.start_soon(self.simulator.serve_stream, theirs)
                return ours

            def announce(urls: list[str]) -> None:
                self.urls = urls
                task_status.started()

            await serve_gateway(
                self.config,
                log=make_log(self.log),
                dial=dial,
                stop=self.stop,
                environ={},
                on_listening=announce,
            )
            upstream.cancel_scope.cancel()
        self.ended.set()

    async def client(self) -> WireClient:
        parts = urlsplit(self.urls[0])
        assert parts.port is not None
        return WireClient(await trio.open_tcp_stream("127.0.0.1", parts.port))

    async def ask(self, client: WireClient, path: str) -> Answer:
        return await client.ask(method="GET", path=path, headers=[self.key])

    async def chat(self, client: WireClient, **fields: Any) -> Answer:
        return await client.ask(chat_fields(**fields), headers=[self.key])

    @property
    def key(self) -> tuple[str, str]:
        return "authorization", f"Bearer {self.secret}"

    def lines(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.log.getvalue().splitlines()]


def config_in(folder: Path, **server: Any) -> Config:
    return Config(
        server=ServerConfig(**{"bind": ["127.0.0.1:0"], **server}),
        store=StoreConfig(path=str(folder / "keys.db")),
        providers={"openai": ProviderConfig(base_url="http://simulator/v1", discover=False)},
    )


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """Serve for the length of the block, and wait for the graceful end."""
    assert config.store.path is not None
    with KeyStore.open(config.store.path) as store:
        secret = store.create("test")[1]
    gateway = Running(config, secret)
    async with trio.open_nursery() as nursery:
        await nursery.start(gateway.serve)
        yield gateway
        gateway.stop.set()
        await gateway.ended.wait()


def test_a_gateway_starts_answers_and_ends_when_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config_in(tmp_path)) as gateway:
            assert urlsplit(gateway.urls[0]).path == "/v1"
            async with (await gateway.client()).stream as stream:
                client = WireClient(stream)
                assert (await gateway.ask(client, "/readyz")).json() == {"status": "ready"}
                assert (await gateway.chat(client)).json()["model"] == "openai/gpt-4o-mini"
                answer = await gateway.chat(client, stream=True)
                assert answer.events()[-1] == "[DONE]"
        assert [line["event"] for line in gateway.lines()] == ["request", "request"]
        with pytest.raises(OSError, match=r"refused|failed"):
            await gateway.client()

    with_virtual_limits(scenario)


def test_every_bound_address_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = config_in(tmp_path, bind=["127.0.0.1:0", "127.0.0.1:0"])
        async with running(config) as gateway:
            assert len(set(gateway.urls)) == 2
            for url in gateway.urls:
                port = urlsplit(url).port or 0
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    assert (await gateway.ask(WireClient(stream), "/healthz")).status == 200

    with_virtual_limits(scenario)


def test_a_configured_certificate_is_served(tmp_path: Path) -> None:
    async def scenario() -> None:
        pair = {"tls_certificate": str(TLS / "server.pem"), "tls_key": str(TLS / "server-key.pem")}
        async with running(config_in(tmp_path, **pair)) as gateway:
            assert gateway.urls[0].startswith("https://127.0.0.1:")
            plain = (await gateway.client()).stream
            trusting = ssl.create_default_context(cafile=TLS / "ca.pem")
            tls = trio.SSLStream(
                plain, trusting, server_hostname="localhost", https_compatible=True
            )
            async with tls:
                assert (await gateway.chat(WireClient(tls))).status == 200

    with_virtual_limits(scenario)


def test_i10_a_stream_in_flight_is_finished_before_the_gateway_returns(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config_in(tmp_path, drain_seconds=600.0)) as gateway:
            gateway.simulator = HeldBack(gateway.release)
            busy = await gateway.client()
            async with trio.open_nursery() as nursery:
                answers: list[Answer] = []

                async def chat() -> None:
                    answers.append(await gateway.chat(busy, stream=True))

                nursery.start_soon(chat)
                await gateway.simulator.begun.wait()
                gateway.stop.set()
                await trio.sleep(5)
                with pytest.raises(OSError, match=r"refused|failed"):
                    await gateway.client()
                assert not gateway.ended.is_set()
                gateway.release.set()
            assert answers[0].whole
            assert answers[0].events()[-1] == "[DONE]"
            await gateway.ended.wait()
            await trio.aclose_forcefully(busy.stream)
        assert [line["outcome"] for line in gateway.lines()] == ["ok"]

    with_virtual_limits(scenario)


class HeldBack(Simulator):
    """A provider that says one word and then waits to be released."""

    def __init__(self, release: trio.Event) -> None:
        super().__init__()
        self.begun = trio.Event()
        self._release = release

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(STREAM_HEAD + word("Hi"))
            self.begun.set()
            await self._release.wait()
            await stream.send_all(FINISH + DONE + END)
            await stream.receive_some()


def test_i10_a_lame_duck_says_that_it_is_not_ready_and_serves_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(config_in(tmp_path, lame_duck_seconds=5.0)) as gateway:
            gateway.stop.set()
            stopped = trio.current_time()
            async with (await gateway.client()).stream as stream:
                client = WireClient(stream)
                answer = await gateway.ask(client, "/readyz")
                assert (answer.status, answer.json()) == (503, {"status": "stopping"})
                assert (await gateway.chat(client)).status == 200
            assert not gateway.ended.is_set()
            await gateway.ended.wait()
            assert trio.current_time() - stopped == pytest.approx(5.0, abs=0.5)

    with_virtual_limits(scenario)


def test_a_key_revoked_by_another_process_stops_working(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = config_in(tmp_path)
        async with running(config) as gateway, (await gateway.client()).stream as stream:
            client = WireClient(stream)
            assert (await gateway.chat(client)).status == 200
            assert config.store.path is not None
            with KeyStore.open(config.store.path) as store:
                store.revoke(gateway.secret)
            answer = await gateway.chat(client)
            for _ in range(100):
                if answer.status == 200:
                    await trio.sleep(0.5)
                    answer = await gateway.chat(client)
            assert answer.error["code"] == "invalid_api_key"

    with_virtual_limits(scenario)


async def serve_in_vain(config: Config) -> None:
    async def dial(_origin: Origin) -> trio.abc.Stream:
        raise AssertionError("nobody is called")

    await serve_gateway(
        config, log=make_log(io.BytesIO()), dial=dial, stop=trio.Event(), environ={}
    )


def test_an_address_in_use_is_an_error_with_the_address(tmp_path: Path) -> None:
    async def scenario() -> None:
        (taken,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with taken:
            address = f"127.0.0.1:{taken.socket.getsockname()[1]}"
            with pytest.raises(OSError, match=f"cannot listen on {address}"):
                await serve_in_vain(config_in(tmp_path, bind=[address]))

    with_virtual_limits(scenario)


def test_a_store_that_cannot_be_read_is_an_error_and_leaves_no_listener(tmp_path: Path) -> None:
    async def scenario() -> None:
        (free,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        address = f"127.0.0.1:{free.socket.getsockname()[1]}"
        await free.aclose()
        config = config_in(tmp_path, bind=[address])
        (tmp_path / "keys.db").write_bytes(b"this is no database" * 1000)
        with pytest.raises(StoreError, match=r"keys\.db"):
            await serve_in_vain(config)
        (again,) = await trio.open_tcp_listeners(free_port(address), host="127.0.0.1")
        await again.aclose()

    with_virtual_limits(scenario)


def free_port(address: str) -> int:
    return int(address.rpartition(":")[2])


def test_a_gateway_without_a_store_path_refuses_to_start() -> None:
    async def scenario() -> None:
        config = Config(server=ServerConfig(bind=["127.0.0.1:0"]))
        with pytest.raises(StoreError, match="no path"):
            await serve_in_vain(config)

    with_virtual_limits(scenario)

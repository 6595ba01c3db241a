"""The server on real loopback sockets, its clock virtual: counting, write deadline, graceful end, TLS.

The clock jumps to the next deadline when no socket has had anything to do for a moment, so limits of half
a minute are tested exactly and at once.
"""

import contextlib
import errno
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import trio
import trio.testing
from hypercorn.typing import ASGIFramework

from router.config import ServerConfig
from router.front.server import Server, open_listeners, server_ssl_context
from tests.simulated.simulator_wire import Answer, WireClient
from tests.simulated.world import chat_fields, open_world

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
QUIET_SECONDS = 0.03  # real ones: how long no socket has to speak for the clock to jump

Messages = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[dict[str, Any], Messages, Send], Awaitable[None]]


def on_real_sockets(scenario: Callable[[], Awaitable[None]]) -> None:
    """Run a scenario whose clock jumps when all is quiet."""
    clock = trio.testing.MockClock(autojump_threshold=QUIET_SECONDS)
    trio.run(partial(scenario), clock=clock)


class Served:
    """A running server, and when its `run` returned."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.scope = trio.CancelScope()
        self._ended = trio.Event()
        self._streams: list[trio.SocketStream] = []

    async def run(self, task_status: trio.TaskStatus[None]) -> None:
        with self.scope:
            await self.server.run(task_status=task_status)
        self._ended.set()

    async def connect(self, *, receive_buffer_bytes: int | None = None) -> trio.SocketStream:
        """A connection that is closed at the end of the scenario, if not before."""
        sock = trio.socket.socket()
        if receive_buffer_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        await sock.connect(("127.0.0.1", self.port))
        self._streams.append(trio.SocketStream(sock))
        return self._streams[-1]

    async def leave(self) -> None:
        for stream in self._streams:
            await trio.aclose_forcefully(stream)

    async def client(self) -> WireClient:
        return WireClient(await self.connect())

    async def wait_empty(self) -> None:
        """Wait until the last connection has gone."""
        with trio.fail_after(1000):
            while self.server.connections:  # noqa: ASYNC110 - the server has no event for it
                await trio.sleep(5)

    async def end(self) -> float:
        """Wait until `run` has returned; the time."""
        await self._ended.wait()
        assert self.server.connections == 0
        return trio.current_time()


@asynccontextmanager
async def serving(
    app: App, *, ssl_context: ssl.SSLContext | None = None, **config: Any
) -> AsyncIterator[Served]:
    """Serve `app` on the loopback for the length of the block; at the end no connection is left."""
    listeners = await open_listeners(["127.0.0.1:0"])
    server = Server(
        cast("ASGIFramework", app), ServerConfig(**config), listeners, ssl_context=ssl_context
    )
    served = Served(server, listeners[0].socket.getsockname()[1])
    async with trio.open_nursery() as nursery:
        await nursery.start(served.run)
        yield served
        await served.leave()
        served.scope.cancel()
    assert server.connections == 0
    for listener in listeners:
        await listener.aclose()


async def read_to_the_end(stream: trio.abc.Stream, into: bytearray | None = None) -> None:
    """Read until the other side closes; raises BrokenResourceError if it does so rudely."""
    async for data in stream:
        if into is not None:
            into += data


async def ask(client: WireClient, path: str = "/") -> Answer:
    return await client.ask(method="GET", path=path)


async def until_gone(receive: Messages, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def head(status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": []}


def body(data: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def hello(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
    await send(head())
    await send(body(b"hello"))


class Slow:
    """An application that takes `seconds` for its answer, and notes when it was cancelled."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.begun = trio.Event()
        self.cancelled_at: float | None = None

    async def __call__(self, _scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send(head())
        await send(body(b"one ", more=True))
        self.begun.set()
        try:
            await trio.sleep(self._seconds)
        except trio.Cancelled:
            self.cancelled_at = trio.current_time()
            raise
        await send(body(b"two"))


class Flood:
    """An application that sends without end until its client is gone."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.gone_at: float | None = None

    async def __call__(self, _scope: dict[str, Any], receive: Messages, send: Send) -> None:
        await send(head())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_gone, receive, nursery.cancel_scope)
            while True:
                await send(body(bytes(64 * 1024), more=True))
                self.sent_bytes += 64 * 1024
        self.gone_at = trio.current_time()


async def deaf_client(served: Served) -> trio.SocketStream:
    """A client that asks and then reads nothing."""
    stream = await served.connect(receive_buffer_bytes=4096)
    await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    return stream


# Connections


def test_a_connection_serves_many_requests_and_is_counted_until_it_closes() -> None:
    async def scenario() -> None:
        async with serving(hello) as served:
            first, second = await served.client(), await served.client()
            for client in (first, second, first, second, first):
                answer = await ask(client)
                assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
            assert served.server.connections == 2
            await first.stream.aclose()
            await second.stream.aclose()
            await served.wait_empty()

    on_real_sockets(scenario)


def test_an_idle_connection_is_closed_after_its_time() -> None:
    async def scenario() -> None:
        async with serving(hello, keep_alive_seconds=40.0) as served:
            client = await served.client()
            await trio.sleep(30)
            await ask(client)
            start = trio.current_time()
            assert await client.stream.receive_some() == b""
            assert trio.current_time() - start == pytest.approx(40.0)

    on_real_sockets(scenario)


@pytest.mark.parametrize("sent", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nhost: x\r\n"])
def test_a_head_that_never_comes_whole_ends_its_connection(sent: bytes) -> None:
    async def scenario() -> None:
        async with serving(hello, keep_alive_seconds=40.0) as served:
            stream = await served.connect()
            await stream.send_all(sent)
            assert await stream.receive_some() == b""
            assert trio.current_time() == pytest.approx(40.0)

    on_real_sockets(scenario)


@pytest.mark.parametrize(
    "sent",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["no HTTP", "no host", "endless"],
)
def test_a_request_that_is_no_http_is_refused_and_others_are_served_on(sent: bytes) -> None:
    async def scenario() -> None:
        async with serving(hello) as served:
            stream = await served.connect()
            await stream.send_all(sent)
            received = b"".join([bytes(data) async for data in stream])
            assert received.startswith(b"HTTP/1.1 4")
            answer = await ask(await served.client())
            assert answer.status == 200

    on_real_sockets(scenario)


def test_a_client_that_waits_to_be_told_to_continue_is_told() -> None:
    async def echo(_scope: dict[str, Any], receive: Messages, send: Send) -> None:
        message = await receive()
        parts = [message["body"]]
        while message["more_body"]:
            message = await receive()
            parts.append(message["body"])
        await send(head())
        await send(body(b"".join(parts)))

    async def scenario() -> None:
        async with serving(echo) as served, await served.connect() as stream:
            await stream.send_all(
                b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n"
            )
            assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 100")
            await stream.send_all(b"body")
            received = b""
            while not received.endswith(b"0\r\n\r\n"):
                received += bytes(await stream.receive_some())
            assert b"body" in received

    on_real_sockets(scenario)


# Answers that break


async def half(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
    await send(head())
    await send(body(b"half", more=True))


async def half_and_a_bug(scope: dict[str, Any], receive: Messages, send: Send) -> None:
    await half(scope, receive, send)
    raise RuntimeError("a bug")


@pytest.mark.parametrize("app", [half, half_and_a_bug])
def test_i5_an_answer_that_was_not_finished_has_no_proper_end(app: App) -> None:
    async def scenario() -> None:
        async with serving(app) as served:
            async with await served.connect() as stream:
                await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
                received = bytearray()
                with contextlib.suppress(trio.BrokenResourceError):
                    await read_to_the_end(stream, received)
                assert b"half" in received
                assert b"0\r\n\r\n" not in received
            await served.wait_empty()

    on_real_sockets(scenario)


def test_an_application_can_abort_its_connection() -> None:
    async def abort(scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send(head())
        await send(body(b"half", more=True))
        scope["state"]["abort_connection"]()

    async def scenario() -> None:
        async with serving(abort) as served:
            answer = await ask(await served.client())
            assert not answer.whole
            await served.wait_empty()

    on_real_sockets(scenario)


# Clients that do not read


def test_i8_a_client_that_stops_reading_is_dropped_at_the_write_limit() -> None:
    async def scenario() -> None:
        flood = Flood()
        async with serving(flood, write_seconds=30.0) as served:
            stream = await deaf_client(served)
            await served.wait_empty()
            assert flood.gone_at == pytest.approx(30.0, abs=0.1)
            assert flood.sent_bytes < 32 * 1024 * 1024
            with pytest.raises(trio.BrokenResourceError):
                await read_to_the_end(stream)
            await stream.aclose()

    on_real_sockets(scenario)


def test_a_client_that_stops_reading_does_not_hold_up_others() -> None:
    async def answer(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        await (flood if scope["path"] == "/" else hello)(scope, receive, send)

    flood = Flood()

    async def scenario() -> None:
        async with serving(answer, write_seconds=30.0) as served, await deaf_client(served):
            client = await served.client()
            for _ in range(5):
                await trio.sleep(3)
                assert (await ask(client, "/other")).body == b"hello"

    on_real_sockets(scenario)


def test_a_client_that_leaves_is_told_to_the_application_at_once() -> None:
    async def scenario() -> None:
        flood = Flood()
        async with serving(flood, write_seconds=30.0) as served:
            stream = await served.connect()
            await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await stream.receive_some()
            await stream.aclose()
            await served.wait_empty()
            assert flood.gone_at == pytest.approx(0.0, abs=0.1)

    on_real_sockets(scenario)


# Ending


def test_i10_stopping_closes_idle_connections_at_once_and_takes_no_new_ones() -> None:
    async def scenario() -> None:
        async with serving(hello) as served:
            used, fresh = await served.client(), await served.client()
            await ask(used)
            await served.server.stop(drain_seconds=60.0)
            assert await used.stream.receive_some() == b""
            assert await fresh.stream.receive_some() == b""
            assert await served.end() == pytest.approx(0.0)

    on_real_sockets(scenario)


def test_i10_stopping_lets_a_busy_connection_finish_and_then_closes_it() -> None:
    async def scenario() -> None:
        app = Slow(50.0)
        async with serving(app) as served:
            client = await served.client()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_once_begun, served, app)
                answer = await ask(client)
            assert (answer.body, answer.whole) == (b"one two", True)
            assert await client.stream.receive_some() == b""
            assert app.cancelled_at is None
            assert await served.end() == pytest.approx(50.0)

    on_real_sockets(scenario)


async def stop_once_begun(served: Served, app: Slow) -> None:
    await app.begun.wait()
    await served.server.stop(drain_seconds=60.0)


def test_i10_what_is_still_busy_after_the_drain_is_cancelled_and_cut() -> None:
    async def scenario() -> None:
        app = Slow(100.0)
        async with serving(app) as served:
            client = await served.client()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_once_begun, served, app)
                answer = await ask(client)
            assert (answer.body, answer.whole) == (b"one ", False)
            assert app.cancelled_at == pytest.approx(60.0)
            assert await served.end() == pytest.approx(60.0)

    on_real_sockets(scenario)


def test_i10_a_client_that_reads_nothing_holds_up_the_end_no_longer_than_the_write_limit() -> None:
    async def scenario() -> None:
        async with serving(Flood(), write_seconds=30.0) as served, await deaf_client(served):
            await trio.sleep(10)
            await served.server.stop(drain_seconds=5.0)
            assert await served.end() <= 30.0

    on_real_sockets(scenario)


def test_a_server_that_is_cancelled_drops_all_connections() -> None:
    async def scenario() -> None:
        app = Slow(100.0)
        async with serving(app) as served:
            busy = await served.client()
            await served.connect()
            async with trio.open_nursery() as nursery:

                async def cancel() -> None:
                    await app.begun.wait()
                    served.scope.cancel()

                nursery.start_soon(cancel)
                answer = await ask(busy)
            assert not answer.whole
            assert app.cancelled_at == pytest.approx(0.0, abs=0.5)
            assert served.server.connections == 0

    on_real_sockets(scenario)


# TLS


def trusting() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=TLS / "ca.pem")


def server_tls() -> ssl.SSLContext:
    return server_ssl_context(str(TLS / "server.pem"), str(TLS / "server-key.pem"))


async def tls_client(served: Served) -> WireClient:
    stream = trio.SSLStream(
        await served.connect(), trusting(), server_hostname="localhost", https_compatible=True
    )
    await stream.do_handshake()
    return WireClient(stream)


def test_tls_is_served_and_ends_as_gracefully() -> None:
    async def scenario() -> None:
        app = Slow(50.0)
        async with serving(app, ssl_context=server_tls()) as served:
            busy, idle = await tls_client(served), await tls_client(served)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stop_once_begun, served, app)
                answer = await ask(busy)
            assert (answer.body, answer.whole) == (b"one two", True)
            assert await idle.stream.receive_some() == b""
            assert await served.end() == pytest.approx(50.0)

    on_real_sockets(scenario)


def test_the_application_knows_that_a_request_came_over_tls() -> None:
    seen: list[tuple[str, str]] = []

    async def note(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        seen.append((scope["scheme"], scope["client"][0]))
        await hello(scope, receive, send)

    async def scenario() -> None:
        async with serving(note, ssl_context=server_tls()) as served:
            client = await tls_client(served)
            assert (await ask(client)).whole
        assert seen == [("https", "127.0.0.1")]

    on_real_sockets(scenario)


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nhost: x\r\n\r\n", b""])
def test_who_does_not_speak_tls_is_dropped_and_others_are_served_on(sent: bytes) -> None:
    async def scenario() -> None:
        async with serving(hello, ssl_context=server_tls()) as served:
            async with await served.connect() as stranger:
                if sent:
                    await stranger.send_all(sent)
                    with contextlib.suppress(trio.BrokenResourceError):
                        await read_to_the_end(stranger)
            client = await tls_client(served)
            assert (await ask(client)).status == 200

    on_real_sockets(scenario)


# Listeners


def test_an_address_in_use_is_named_and_the_listeners_before_it_are_closed() -> None:
    async def scenario() -> None:
        taken = await open_listeners(["127.0.0.1:0"])
        port = taken[0].socket.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1:{port}: ") as caught:
            await open_listeners(["127.0.0.1:0", f"127.0.0.1:{port}"])
        assert caught.value.errno == errno.EADDRINUSE
        await taken[0].aclose()

    on_real_sockets(scenario)


def test_an_address_that_does_not_exist_is_named() -> None:
    async def scenario() -> None:
        with pytest.raises(OSError, match=r"cannot listen on host\.invalid:80: "):
            await open_listeners(["host.invalid:80"])

    trio.run(scenario)


# The gateway on the server


def test_i8_the_gateway_leaves_its_upstream_when_a_client_stops_reading() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            front = cast("App", world.gateway.front)
            async with serving(front, write_seconds=30.0) as served:
                orders = {"tokens": 100_000, "gap": 0, "extra": {"padding": "x" * 10_000}}
                await send_deaf_chat(served, world.secret, orders)
                await trio.sleep(29)
                assert world.simulator.open_exchanges == 1
                await served.wait_empty()
                assert world.simulator.aborted == 1
                (line,) = world.log_lines()
                assert line["outcome"] == "client_gone"
                assert line["duration_seconds"] == pytest.approx(30.0)
            await world.leak_check()

    on_real_sockets(scenario)


async def send_deaf_chat(served: Served, secret: str, orders: dict[str, Any]) -> None:
    stream = await served.connect(receive_buffer_bytes=4096)
    content = msgspec.json.encode(chat_fields(stream=True, simulate=orders))
    await stream.send_all(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        b"authorization: Bearer %b\r\ncontent-length: %d\r\n\r\n%b"
        % (secret.encode(), len(content), content)
    )


def test_i10_a_stream_in_flight_is_whole_although_the_server_stops() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            async with serving(cast("App", world.gateway.front)) as served:
                client = await served.client()
                fields = chat_fields(stream=True, simulate={"ttft": 1, "gap": 1, "tokens": 30})
                key = ("authorization", f"Bearer {world.secret}")
                async with trio.open_nursery() as nursery:

                    async def stop() -> None:
                        await trio.sleep(10)
                        await served.server.stop(drain_seconds=60.0)

                    nursery.start_soon(stop)
                    answer = await client.ask(fields, headers=[key])
                assert answer.whole
                assert answer.events()[-1] == "[DONE]"
                assert await served.end() == pytest.approx(31.0, abs=0.2)
            await world.leak_check()

    on_real_sockets(scenario)


def test_i10_a_stream_that_outlasts_the_drain_is_cut_and_counted_as_shut_down() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            async with serving(cast("App", world.gateway.front)) as served:
                client = await served.client()
                fields = chat_fields(stream=True, simulate={"ttft": 1, "gap": 1, "tokens": 90})
                key = ("authorization", f"Bearer {world.secret}")
                async with trio.open_nursery() as nursery:

                    async def stop() -> None:
                        await trio.sleep(10)
                        world.gateway.stop_being_ready()
                        await served.server.stop(drain_seconds=30.0)

                    nursery.start_soon(stop)
                    answer = await client.ask(fields, headers=[key])
                assert not answer.whole
                assert b"[DONE]" not in answer.body
                assert await served.end() == pytest.approx(40.0, abs=0.2)
            await world.leak_check()
            assert world.simulator.aborted == 1
            (line,) = world.log_lines()
            assert line["outcome"] == "shutdown"

    on_real_sockets(scenario)

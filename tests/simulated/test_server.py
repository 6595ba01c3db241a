"""The server on real loopback sockets: connections, answers that break, clients that do not read."""

import contextlib
import errno
from typing import Any, cast

import msgspec
import pytest
import trio
import trio.testing

from router.front.listeners import open_listeners
from tests.simulated.served import (
    App,
    Flood,
    Messages,
    Send,
    Served,
    ask,
    body,
    deaf_client,
    head,
    hello,
    on_real_sockets,
    read_to_the_end,
    serving,
)
from tests.simulated.world import chat_fields, open_world


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


def test_i8_the_gateway_leaves_its_upstream_when_a_client_stops_reading() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            world.pair = trio.testing.lockstep_stream_pair
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

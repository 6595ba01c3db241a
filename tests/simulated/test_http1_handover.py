"""What our own connection does not speak is served by hypercorn, from the bytes that were read already."""

from collections.abc import Awaitable
from typing import Any

import pytest
import trio
import wsproto
import wsproto.events

from router.front.http1.asgi_calls import Address
from router.front.http1.message import RequestHead
from router.front.http1.turn import Turn
from tests.simulated.served import (
    Direct,
    Messages,
    Send,
    ask,
    body,
    head,
    hello,
    on_real_sockets,
    server_tls,
    serving,
    tls_stream,
)


async def sockets(scope: dict[str, Any], receive: Messages, send: Send) -> None:
    """Echo over WebSocket; tell the version of what comes by HTTP."""
    if scope["type"] == "http":
        await send(head())
        await send(body(scope["http_version"].encode()))
        return
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"].upper()})


async def echo_once(stream: trio.abc.Stream, *, in_pieces: bool = False) -> str:
    """Open a WebSocket, say hello and return what comes back."""
    client = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
    asked = client.send(wsproto.events.Request(host="x", target="/ws"))
    for piece in (asked[:20], asked[20:]) if in_pieces else (asked,):
        await stream.send_all(piece)
        await trio.sleep(1)
    while True:
        client.receive_data(bytes(await stream.receive_some()))
        for event in client.events():
            if isinstance(event, wsproto.events.AcceptConnection):
                await stream.send_all(client.send(wsproto.events.TextMessage(data="hello")))
            elif isinstance(event, wsproto.events.TextMessage):
                return str(event.data)


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_websocket_is_served(in_pieces: bool) -> None:
    async def scenario() -> None:
        async with serving(sockets, http1="lean") as served, await served.connect() as stream:
            assert await echo_once(stream, in_pieces=in_pieces) == "HELLO"

    on_real_sockets(scenario)


def test_a_websocket_is_served_after_requests_and_over_tls() -> None:
    async def scenario() -> None:
        async with (
            serving(sockets, http1="lean", ssl_context=server_tls()) as served,
            await tls_stream(served) as stream,
        ):
            await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b"0\r\n\r\n"):
                answer += bytes(await stream.receive_some())
            assert b"1.1" in answer
            assert await echo_once(stream) == "HELLO"

    on_real_sockets(scenario)


def test_where_the_operator_says_so_hypercorn_serves_all() -> None:
    states: list[set[str]] = []

    async def note(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        states.append(set(scope["state"]))
        await hello(scope, receive, send)

    async def scenario() -> None:
        for http1 in ("hypercorn", "lean"):
            async with serving(note, plane=Direct(note), http1=http1) as served:
                assert (await ask(await served.client())).whole
        assert states == [set(), {"turn"}]


def test_what_the_plane_does_not_serve_the_application_does() -> None:
    class Picky(Direct):
        def serve_turn(
            self, request: RequestHead, turn: Turn, *, client: Address
        ) -> Awaitable[None] | None:
            if request.target == b"/theirs":
                return None
            return super().serve_turn(request, turn, client=client)

    seen: list[tuple[str, set[str]]] = []

    async def note(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        seen.append((scope["path"], set(scope["state"])))
        await hello(scope, receive, send)

    async def scenario() -> None:
        async with serving(note, plane=Picky(note), http1="lean") as served:
            client = await served.client()
            for path in ("/ours", "/theirs", "/ours"):
                assert (await ask(client, path)).whole
        ours = ("/ours", {"turn"})
        assert seen == [ours, ("/theirs", set()), ours]

    on_real_sockets(scenario)


def test_over_tls_nothing_is_sent_without_waiting() -> None:
    offers: list[bool] = []

    async def note(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        await hello(scope, receive, send)
        offers.append(scope["state"]["turn"].can_send_now)

    async def scenario() -> None:
        async with (
            serving(note, plane=Direct(note), http1="lean", ssl_context=server_tls()) as served,
            await tls_stream(served) as stream,
        ):
            await stream.send_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 200")
        assert offers == [False]

    on_real_sockets(scenario)


def test_i10_a_handshake_that_does_not_come_holds_up_no_end() -> None:
    async def scenario() -> None:
        async with serving(hello, http1="lean", ssl_context=server_tls()) as served:
            await served.connect()
            await trio.sleep(10)
            await served.server.stop(drain_seconds=60)
            assert await served.end() == pytest.approx(10, abs=0.2)

    on_real_sockets(scenario)


def test_a_handshake_has_no_longer_than_a_head() -> None:
    async def scenario() -> None:
        context = server_tls()
        async with serving(
            hello, http1="lean", ssl_context=context, keep_alive_seconds=40
        ) as served:
            stream = await served.connect()
            assert await stream.receive_some() == b""
            assert trio.current_time() == pytest.approx(40)

    on_real_sockets(scenario)

"""A client that leaves, as our own connection notices it: at once, and never by mistake."""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio

from tests.http1_reading import PARSERS
from tests.simulated.served import (
    Direct,
    Flood,
    Messages,
    Send,
    ask,
    body,
    deaf_client,
    head,
    on_real_sockets,
    server_tls,
    serving,
    tls_client,
    until_gone,
)

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(params=PARSERS)
def lean(request: pytest.FixtureRequest) -> Callable[..., Any]:
    return partial(serving, parser=PARSERS[request.param], http1="lean")


class Waiting:
    """An application that waits for its client to leave, in one of several ways.

    "turn" asks to be cancelled and sleeps; "receive" waits for the message; "sleep" never asks.
    """

    def __init__(self, how: str, *, seconds: float = 50.0) -> None:
        self._how = how
        self._seconds = seconds
        self.begun = 0
        self.gone_at: list[float] = []
        self.plane = Direct(self) if how == "turn" else None

    async def __call__(self, scope: dict[str, Any], receive: Messages, send: Send) -> None:
        self.begun += 1
        with trio.CancelScope() as own:
            if self._how == "turn":
                await receive()
                scope["state"]["turn"].cancel_on_leave()
                await self._sleep_until_cancelled()
            elif self._how == "receive":
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(until_gone, receive, own)
                    await trio.sleep(self._seconds)
                    nursery.cancel_scope.cancel()
            else:
                await trio.sleep(self._seconds)
        if own.cancelled_caught:
            self.gone_at.append(trio.current_time())
            return
        await send(head())
        await send(body(b"hello"))

    async def _sleep_until_cancelled(self) -> None:
        try:
            await trio.sleep(self._seconds)
        except trio.Cancelled:
            self.gone_at.append(trio.current_time())
            raise


def half_close(stream: trio.SocketStream) -> None:
    stream.socket.shutdown(socket.SHUT_WR)


def close(stream: trio.SocketStream) -> None:
    stream.socket.close()


@pytest.mark.parametrize("leave", [half_close, close])
@pytest.mark.parametrize("how", ["turn", "receive"])
def test_i7_the_end_of_the_input_before_the_answer_cancels_at_once(
    lean: Callable[..., Any], how: str, leave: Callable[[trio.SocketStream], None]
) -> None:
    async def scenario() -> None:
        app = Waiting(how)
        async with lean(app, plane=app.plane) as served:
            stream = await served.connect()
            await stream.send_all(GET)
            await trio.sleep(10)
            leave(stream)
            await served.wait_empty()
            assert app.gone_at == pytest.approx([10.0], abs=0.2)

    on_real_sockets(scenario)


@pytest.mark.parametrize("how", ["turn", "receive"])
def test_i7_who_left_before_being_served_has_left(lean: Callable[..., Any], how: str) -> None:
    async def scenario() -> None:
        app = Waiting(how)
        async with lean(app, plane=app.plane) as served:
            stream = await served.connect()
            await stream.send_all(GET)
            await stream.send_eof()
            await served.wait_empty()
            assert app.gone_at == pytest.approx([0.0], abs=0.2)

    on_real_sockets(scenario)


@pytest.mark.parametrize("how", ["turn", "receive", "sleep"])
def test_i7_bytes_sent_ahead_are_no_leave(lean: Callable[..., Any], how: str) -> None:
    async def scenario() -> None:
        app = Waiting(how)
        async with lean(app, plane=app.plane) as served:
            stream = await served.connect()
            await stream.send_all(GET)
            await trio.sleep(10)
            await stream.send_all(GET)
            received = b""
            while received.count(b"hello") < 2:
                received += bytes(await stream.receive_some())
            assert trio.current_time() == pytest.approx(100.0, abs=0.2)
            assert (app.begun, app.gone_at) == (2, [])

    on_real_sockets(scenario)


@pytest.mark.parametrize("how", ["turn", "receive"])
def test_i7_bytes_sent_ahead_hide_no_leave(lean: Callable[..., Any], how: str) -> None:
    async def scenario() -> None:
        app = Waiting(how)
        async with lean(app, plane=app.plane) as served:
            stream = await served.connect()
            await stream.send_all(GET + GET)
            await trio.sleep(10)
            close(stream)
            await served.wait_empty()
            assert app.gone_at[0] == pytest.approx(10.0, abs=0.2)

    on_real_sockets(scenario)


def test_who_left_during_one_request_is_not_served_another(lean: Callable[..., Any]) -> None:
    deaf, listening = Waiting("sleep"), Waiting("turn")

    async def app(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        await (deaf if scope["path"] == "/" else listening)(scope, receive, send)

    async def scenario() -> None:
        async with lean(app, plane=Direct(app)) as served:
            stream = await served.connect()
            await stream.send_all(GET + GET.replace(b"/ ", b"/next "))
            await trio.sleep(10)
            half_close(stream)
            await served.wait_empty()
            assert (deaf.begun, listening.begun) == (1, 0)

    on_real_sockets(scenario)


def test_i7_a_body_that_breaks_off_is_told_as_a_leave(lean: Callable[..., Any]) -> None:
    told: list[tuple[str, bytes]] = []

    async def note(_scope: dict[str, Any], receive: Messages, _send: Send) -> None:
        while not told or told[-1][0] != "http.disconnect":
            message = await receive()
            told.append((message["type"], message.get("body", b"")))

    async def scenario() -> None:
        async with lean(note) as served:
            stream = await served.connect()
            await stream.send_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf")
            await trio.sleep(1)
            close(stream)
            await served.wait_empty()
        assert told == [("http.request", b"half"), ("http.disconnect", b"")]

    on_real_sockets(scenario)


def test_a_client_that_has_its_answer_may_leave(lean: Callable[..., Any]) -> None:
    after: list[str] = []

    async def app(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        await receive()
        scope["state"]["turn"].cancel_on_leave()
        await send(head())
        await send(body(b"hello"))
        await trio.sleep(20)
        after.append((await receive())["type"])

    async def scenario() -> None:
        async with lean(app, plane=Direct(app)) as served:
            client = await served.client()
            assert (await ask(client)).whole
            await client.stream.aclose()
            await served.wait_empty()
        assert after == ["http.disconnect"]

    on_real_sockets(scenario)


def test_i7_who_leaves_while_an_answer_is_written_cancels_it(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        flood = Flood()
        async with lean(flood, write_seconds=30.0) as served:
            stream = await deaf_client(served)
            await trio.sleep(10)
            close(stream)
            await served.wait_empty()
            assert flood.gone_at == pytest.approx(10.0, abs=0.2)

    on_real_sockets(scenario)


def test_sending_to_one_that_is_gone_is_no_error_and_lets_others_run(
    lean: Callable[..., Any],
) -> None:
    sends: list[float] = []

    async def stubborn(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send(head())
        while len(sends) < 1000:
            await send(body(bytes(64 * 1024), more=True))
            sends.append(trio.current_time())

    async def scenario() -> None:
        async with lean(stubborn, write_seconds=5.0) as served:
            stream = await deaf_client(served)
            await trio.sleep(1)
            close(stream)
            await served.wait_empty()
            assert len(sends) == 1000
            assert sends[-1] == pytest.approx(1.0, abs=0.2)

    on_real_sockets(scenario)


def test_i7_over_tls_the_end_of_the_connection_cancels_at_once(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        app = Waiting("turn")
        async with lean(app, plane=Direct(app), ssl_context=server_tls()) as served:
            client = await tls_client(served)
            await client.send(method="GET", path="/")
            await trio.sleep(10)
            await trio.aclose_forcefully(client.stream)
            await served.wait_empty()
            assert app.gone_at == pytest.approx([10.0], abs=0.2)

    on_real_sockets(scenario)


def test_many_who_leave_at_once_are_all_noticed(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        app = Waiting("turn")
        async with lean(app, plane=Direct(app)) as served:
            streams = [await served.connect() for _ in range(300)]
            for stream in streams:
                await stream.send_all(GET)
            while app.begun < len(streams):  # noqa: ASYNC110 - the application has no event for it
                await trio.sleep(1)
            for stream in streams:
                close(stream)
            await served.wait_empty()
            assert len(app.gone_at) == len(streams)

    on_real_sockets(scenario)


# Writing


def test_what_a_cancelled_application_had_sent_still_arrives(lean: Callable[..., Any]) -> None:
    size = 8 * 1024 * 1024
    cancelled: list[bool] = []

    async def impatient(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send(head())
        with trio.move_on_after(5) as scope:
            await send(body(bytes(size)))
        cancelled.append(scope.cancelled_caught)

    async def scenario() -> None:
        async with lean(impatient, write_seconds=30.0) as served:
            stream = await deaf_client(served)
            await trio.sleep(10)
            received = 0
            ended = b""
            while not ended.endswith(b"\r\n0\r\n\r\n"):
                data = bytes(await stream.receive_some(1024 * 1024))
                assert data
                received += len(data)
                ended = ended[-7:] + data
            assert received > size
            assert cancelled == [True]
            await stream.send_all(GET)
            assert await stream.receive_some()

    on_real_sockets(scenario)

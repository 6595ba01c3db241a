"""Our own HTTP/1.1 connection on real sockets in virtual time, by either parser."""

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import h11
import msgspec
import pytest
import trio

from tests.http1_reading import PARSERS
from tests.simulated.served import (
    App,
    Messages,
    Send,
    Served,
    ask,
    body,
    head,
    hello,
    on_real_sockets,
    serving,
)

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
Scenario = Callable[[Callable[..., Any]], Awaitable[None]]


@pytest.fixture(params=PARSERS)
def lean(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`serving` on our own connection, whatever the environment says."""
    return partial(serving, parser=PARSERS[request.param], http1="lean")


async def exchange(served: Served, *sent: bytes) -> bytes:
    """Send pieces a second apart, and return all that comes until the server closes."""
    stream = await served.connect()
    for piece in sent:
        await stream.send_all(piece)
        await trio.sleep(1)
    return b"".join([bytes(data) async for data in stream])


def answers(received: bytes, *methods: str) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """Read the answers to requests of these methods; each must be whole, and nothing may follow."""
    found = []
    for method in methods or ["GET"]:
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(received)
        status, headers, content = 0, {}, b""
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                content += event.data
            elif isinstance(event, h11.Response):
                status, headers = event.status_code, dict(event.headers)
            else:
                assert isinstance(event, h11.InformationalResponse), event
        found.append((status, headers, content))
        received = client.trailing_data[0]
    assert received == b""
    return found


class Gate:
    """An application that notes each request and answers when it is let through."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.open = trio.Event()

    async def __call__(self, scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        self.paths.append(scope["path"])
        await self.open.wait()
        await send(head())
        await send(body(scope["path"].encode()))


async def echo(_scope: dict[str, Any], receive: Messages, send: Send) -> None:
    message = await receive()
    content = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        content += message.get("body", b"")
    if message["type"] == "http.disconnect":
        return
    await send(head())
    await send(body(content))


# Requests, one after another


def test_requests_sent_ahead_wait_their_turn(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        gate = Gate()
        async with lean(gate) as served, trio.open_nursery() as nursery:
            received: list[bytes] = []

            async def client() -> None:
                first = GET.replace(b"/ ", b"/1 ") + GET.replace(b"/ ", b"/2 ")
                received.append(await exchange(served, first, GET_AND_CLOSE))

            nursery.start_soon(client)
            await trio.sleep(10)
            assert gate.paths == ["/1"]
            gate.open.set()
        assert [content for _, _, content in answers(received[0], *["GET"] * 3)] == [
            b"/1",
            b"/2",
            b"/",
        ]

    on_real_sockets(scenario)


def test_others_run_between_requests_that_were_sent_ahead(lean: Callable[..., Any]) -> None:
    seen: list[int] = []
    turns = 0

    async def others() -> None:
        nonlocal turns
        while len(seen) < 50:
            turns += 1
            await trio.lowlevel.checkpoint()

    async def note(scope: dict[str, Any], receive: Messages, send: Send) -> None:
        seen.append(turns)
        await hello(scope, receive, send)

    async def scenario() -> None:
        async with lean(note) as served, trio.open_nursery() as nursery:
            nursery.start_soon(others)
            await exchange(served, GET * 49 + GET_AND_CLOSE)
        assert len(set(seen)) > 20

    on_real_sockets(scenario)


def test_a_head_that_trickles_has_no_longer_than_another(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with lean(hello, keep_alive_seconds=40.0) as served:
            stream = await served.connect()
            with contextlib.suppress(trio.BrokenResourceError):
                for byte in GET + b"x" * 100:
                    await stream.send_all(bytes([byte]))
                    await trio.sleep(10)
            assert trio.current_time() <= 60

    on_real_sockets(scenario)


def test_connections_close_each_in_its_own_time(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        closed: dict[str, float] = {}
        async with lean(hello, keep_alive_seconds=40.0) as served, trio.open_nursery() as nursery:

            async def client(name: str, *, ask_at: float) -> None:
                wire = await served.client()
                await trio.sleep(ask_at)
                await ask(wire)
                assert await wire.stream.receive_some() == b""
                closed[name] = trio.current_time()

            nursery.start_soon(partial(client, "late", ask_at=30))
            nursery.start_soon(partial(client, "early", ask_at=5))
            nursery.start_soon(partial(client, "middle", ask_at=20))
        assert closed == pytest.approx({"early": 45, "middle": 60, "late": 70})

    on_real_sockets(scenario)


def test_a_body_is_taken_in_whatever_pieces(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with lean(echo) as served:
            request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\n\r\nab"
            received = await exchange(served, request, b"cd", b"ef" + GET_AND_CLOSE)
            assert [row[2] for row in answers(received, "POST", "GET")] == [b"abcdef", b""]

    on_real_sockets(scenario)


# What the answer says, and what it does not


def test_an_answer_has_a_date_and_says_when_it_is_the_last(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with lean(hello) as served:
            received = await exchange(served, GET + GET_AND_CLOSE)
            (_, first, _), (_, last, _) = answers(received, "GET", "GET")
            assert first[b"date"].endswith(b" GMT")
            assert b"connection" not in first
            assert last[b"connection"] == b"close"

    on_real_sockets(scenario)


def test_head_is_answered_without_a_body(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with lean(hello) as served:
            received = await exchange(served, GET.replace(b"GET", b"HEAD") + GET_AND_CLOSE)
            assert [row[2] for row in answers(received, "HEAD", "GET")] == [b"", b"hello"]

    on_real_sockets(scenario)


def test_an_old_client_gets_no_chunks_and_a_closed_connection(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with lean(hello) as served:
            received = await exchange(served, b"GET / HTTP/1.0\r\n\r\n")
            assert received.startswith(b"HTTP/1.1 200")
            assert b"transfer-encoding" not in received.lower()
            assert received.endswith(b"\r\n\r\nhello")

    on_real_sockets(scenario)


def test_a_stopping_server_says_that_the_answer_is_the_last(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        gate = Gate()
        async with lean(gate) as served, trio.open_nursery() as nursery:

            async def client() -> None:
                received = await exchange(served, GET + GET)
                ((_, headers, _),) = answers(received, "GET")
                assert headers[b"connection"] == b"close"

            nursery.start_soon(client)
            await trio.sleep(10)
            await served.server.stop(drain_seconds=60)
            gate.open.set()

    on_real_sockets(scenario)


# Bodies that are not read


async def refuse(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": []})
    await send(body(b"no"))


def test_a_body_that_nobody_reads_ends_the_connection_but_not_the_answer(
    lean: Callable[..., Any],
) -> None:
    async def scenario() -> None:
        async with lean(refuse) as served:
            request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n"
            received = await exchange(served, request, b"x" * 400_000)
            ((status, headers, content),) = answers(received, "POST")
            assert (status, headers[b"connection"], content) == (403, b"close", b"no")

    on_real_sockets(scenario)


def test_a_body_that_has_come_and_is_not_read_is_passed_over(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with lean(refuse) as served:
            request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
            received = await exchange(served, request + GET_AND_CLOSE)
            assert [row[0] for row in answers(received, "POST", "GET")] == [403, 403]

    on_real_sockets(scenario)


EXPECTING = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n"


def test_who_waits_to_be_told_to_continue_is_told_when_the_body_is_wanted(
    lean: Callable[..., Any],
) -> None:
    async def scenario() -> None:
        async with lean(echo) as served:
            received = await exchange(served, EXPECTING, b"body" + GET_AND_CLOSE)
            assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
            assert received.count(b"HTTP/1.1 100 ") == 1

    on_real_sockets(scenario)


async def answer_first(_scope: dict[str, Any], receive: Messages, send: Send) -> None:
    await send(head())
    await send(body(b"early ", more=True))
    await send(body((await receive())["body"]))


def test_who_is_answered_already_is_not_told_to_continue(lean: Callable[..., Any]) -> None:
    async def scenario() -> None:
        async with lean(answer_first) as served:
            received = await exchange(served, EXPECTING, b"body")
            assert b"HTTP/1.1 100 " not in received
            ((_, headers, content),) = answers(received, "POST")
            assert (headers[b"connection"], content) == (b"close", b"early body")

    on_real_sockets(scenario)


@pytest.mark.parametrize(("app", "sent"), [(refuse, EXPECTING), (echo, EXPECTING + b"body")])
def test_who_waits_to_be_told_to_continue_is_not_told_for_nothing(
    lean: Callable[..., Any], app: App, sent: bytes
) -> None:
    async def scenario() -> None:
        async with lean(app, keep_alive_seconds=5) as served:
            received = await exchange(served, sent)
            assert b"HTTP/1.1 100 " not in received
            assert len(answers(received, "POST")) == 1

    on_real_sockets(scenario)


# Refusals of the connection's own


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nhost: x\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nhost: x\r\nx: " + b"y" * 70_000, 431),
        (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nx\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", 400),
    ],
    ids=["no HTTP", "no host", "no method", "endless", "no chunk", "two lengths"],
)
def test_what_is_malformed_is_refused_in_the_usual_envelope(
    lean: Callable[..., Any], sent: bytes, status: int
) -> None:
    async def scenario() -> None:
        async with lean(echo) as served:
            received = await exchange(served, sent + GET)
            ((found, headers, content),) = answers(received)
            assert (found, headers[b"connection"]) == (status, b"close")
            assert headers[b"x-request-id"].startswith(b"req_")
            error = msgspec.json.decode(content)["error"]
            assert (error["type"], error["code"]) == ("invalid_request_error", "malformed_request")

    on_real_sockets(scenario)


async def fail(_scope: dict[str, Any], _receive: Messages, _send: Send) -> None:
    raise RuntimeError("a bug")


async def fail_in_a_nursery(_scope: dict[str, Any], _receive: Messages, _send: Send) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep_forever)
        raise RuntimeError("a bug")


async def say_nothing(_scope: dict[str, Any], _receive: Messages, _send: Send) -> None:
    return


@pytest.mark.parametrize("app", [fail, fail_in_a_nursery, say_nothing])
def test_a_request_that_the_application_does_not_answer_is_answered(
    lean: Callable[..., Any], app: App
) -> None:
    async def scenario() -> None:
        async with lean(app) as served:
            ((status, headers, content),) = answers(await exchange(served, GET))
            assert status == 500
            error = msgspec.json.decode(content)["error"]
            assert error["code"] == "internal_error"
            assert dict(headers)[b"x-request-id"].decode() in error["message"]

    on_real_sockets(scenario)


# Answers that break (I5)


def cut(headers: list[tuple[bytes, bytes]]) -> App:
    async def app(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send(body(b"half", more=True))

    return app


@pytest.mark.parametrize("request_bytes", [GET, b"GET / HTTP/1.0\r\n\r\n"], ids=["1.1", "1.0"])
@pytest.mark.parametrize("headers", [[], [(b"content-length", b"9")]], ids=["unsized", "sized"])
def test_i5_a_cut_answer_looks_cut_to_every_client(
    lean: Callable[..., Any], request_bytes: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    """Where nothing else tells, the connection is reset."""

    async def scenario() -> None:
        async with lean(cut(headers)) as served:
            stream = await served.connect()
            await stream.send_all(request_bytes)
            received = b""
            with (
                pytest.raises(trio.BrokenResourceError) if unsized_old else contextlib.nullcontext()
            ):
                while data := await stream.receive_some():
                    received += bytes(data)
            assert b"0\r\n\r\n" not in received
            if not unsized_old:
                assert b"half" in received

    unsized_old = request_bytes != GET and not headers
    on_real_sockets(scenario)


@pytest.mark.parametrize("content", [b"short", b"much too long"])
def test_i5_an_answer_that_breaks_its_own_word_is_not_ended(
    lean: Callable[..., Any], content: bytes
) -> None:
    async def app(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]}
        )
        await send(body(b"1", more=True))
        await send(body(content))

    async def scenario() -> None:
        async with lean(app) as served:
            received = await exchange(served, GET + GET)
            assert received.count(b"HTTP/1.1") == 1
            assert received.endswith(b"\r\n\r\n1")

    on_real_sockets(scenario)

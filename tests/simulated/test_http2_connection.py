"""HTTP/2 as clients see it: streams beside each other, and each with an end that says what it is."""

from collections.abc import Awaitable, Callable
from typing import Any

import h2.errors
import pytest
import trio

from router.front.http2.connection import STREAM_WINDOW_BYTES
from router.front.server import server_ssl_context
from tests.simulated.doors import Doors
from tests.simulated.http2_client import Http2Client, client_of, speaking
from tests.simulated.served import (
    TLS,
    Messages,
    Send,
    Served,
    ask,
    hello,
    on_real_sockets,
    server_tls,
    serving,
    tls_stream,
    trusting,
)

INTERNAL_ERROR = int(h2.errors.ErrorCodes.INTERNAL_ERROR)
NO_ERROR = int(h2.errors.ErrorCodes.NO_ERROR)
PROTOCOL_ERROR = int(h2.errors.ErrorCodes.PROTOCOL_ERROR)


def with_doors(
    scenario: Callable[[Http2Client, Doors], Awaitable[None]], **settings: Any
) -> Callable[[], Awaitable[None]]:
    """A scenario of one client, at the end of which nothing is left."""

    async def run() -> None:
        doors = Doors()
        async with serving(doors, **settings) as served:
            async with client_of(served) as client:
                await scenario(client, doors)
            await served.leave()
            await served.wait_empty()
        assert doors.running == 0

    return run


# How it begins


@pytest.mark.parametrize("http1", ["lean", "hypercorn"])
def test_http2_is_served_to_who_begins_with_it(http1: str) -> None:
    async def scenario(client: Http2Client, doors: Doors) -> None:
        answer = await client.whole("/a%20b?c=d")
        assert (answer.status, answer.body, answer.whole) == (200, b"hello", True)
        assert "date" in answer.headers
        (scope,) = doors.scopes
        assert (scope["http_version"], scope["method"], scope["scheme"]) == ("2", "GET", "http")
        assert (scope["path"], scope["query_string"]) == ("/a b", b"c=d")
        assert scope["headers"] == [(b"host", b"x")]

    on_real_sockets(with_doors(scenario, http1=http1))


@pytest.mark.parametrize("http1", ["lean", "hypercorn"])
def test_the_preface_may_come_in_pieces_and_others_are_served_as_they_speak(http1: str) -> None:
    async def scenario() -> None:
        async with serving(hello, http1=http1) as served:
            stream = await served.connect()
            client = Http2Client(stream)
            begun = client.http.data_to_send()
            for start in range(0, 24, 5):
                await stream.send_all(begun[start : start + 5])
                await trio.sleep(1)
            await stream.send_all(begun[25:])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.read)
                assert (await client.whole()).body == b"hello"
                nursery.cancel_scope.cancel()
            assert (await ask(await served.client())).body == b"hello"

    on_real_sockets(scenario)


def test_where_it_is_turned_off_its_preface_closes_the_connection() -> None:
    async def scenario() -> None:
        async with serving(hello, http2=False) as served:
            async with client_of(served) as client:
                await client.until(lambda: client.closed_at is not None)
                assert not client.goaways
            assert (await ask(await served.client())).whole

    on_real_sockets(scenario)


@pytest.mark.parametrize("http1", ["lean", "hypercorn"])
def test_an_upgrade_to_it_is_ignored(http1: str) -> None:
    async def scenario() -> None:
        async with serving(hello, http1=http1) as served:
            client = await served.client()
            upgrade = [
                ("connection", "upgrade, http2-settings"),
                ("upgrade", "h2c"),
                ("http2-settings", "AAMAAABkAAQAAP__"),
            ]
            answer = await client.ask(method="GET", path="/", headers=upgrade)
            assert (answer.status, answer.body) == (200, b"hello")

    on_real_sockets(scenario)


async def agreed(served: Served, offered: list[str]) -> str | None:
    """The protocol that TLS settles on when these are offered."""
    context = trusting()
    context.set_alpn_protocols(offered)
    stream = await tls_stream(served, context)
    protocol: str | None = stream.selected_alpn_protocol()
    return protocol


@pytest.mark.parametrize("http1", ["lean", "hypercorn"])
def test_in_tls_the_client_chooses(http1: str) -> None:
    async def scenario() -> None:
        async with serving(hello, http1=http1, ssl_context=server_tls()) as served:
            assert await agreed(served, ["h2", "http/1.1"]) == "h2"
            assert await agreed(served, ["http/1.1"]) == "http/1.1"
            context = trusting()
            context.set_alpn_protocols(["h2"])
            stream = await tls_stream(served, context)
            async with speaking(stream) as client:
                first, second = await client.ask(), await client.ask()
                await client.until(lambda: first.over and second.over)
                assert (first.body, second.body) == (b"hello", b"hello")

    on_real_sockets(scenario)


def test_in_tls_it_is_not_offered_where_it_is_turned_off() -> None:
    context = server_ssl_context(str(TLS / "server.pem"), str(TLS / "server-key.pem"), http2=False)

    async def scenario() -> None:
        async with serving(hello, ssl_context=context, http2=False) as served:
            assert await agreed(served, ["h2", "http/1.1"]) == "http/1.1"

    on_real_sockets(scenario)


# Answers


def test_streams_are_answered_beside_each_other() -> None:
    async def scenario(client: Http2Client, _doors: Doors) -> None:
        slow, waiting, quick = [await client.ask(path) for path in ("/slow", "/wait", "/")]
        await client.until(lambda: quick.whole and waiting.body)
        assert slow.body == b""
        await client.until(lambda: slow.whole)
        assert slow.body == b"0123456789"
        assert slow.ended_at == pytest.approx(10, abs=0.2)
        assert not waiting.over

    on_real_sockets(with_doors(scenario))


def test_i5_an_answer_that_stays_unfinished_is_reset_and_others_go_on() -> None:
    async def scenario(client: Http2Client, _doors: Doors) -> None:
        slow, half = await client.ask("/slow"), await client.ask("/half")
        await client.until(lambda: half.over)
        assert (half.body, half.whole, half.reset) == (b"half", False, INTERNAL_ERROR)
        await client.until(lambda: slow.over)
        assert (slow.body, slow.whole, slow.reset) == (b"0123456789", True, None)
        assert (await client.whole()).whole

    on_real_sockets(with_doors(scenario))


@pytest.mark.parametrize("path", ["/fails", "/wrong"])
def test_an_application_that_fails_before_its_answer_is_answered_for(path: str) -> None:
    async def scenario(client: Http2Client, _doors: Doors) -> None:
        answer = await client.whole(path)
        assert (answer.status, answer.whole) == (500, True)
        assert answer.json()["error"]["code"] == "internal_error"
        assert answer.headers["x-request-id"] in answer.json()["error"]["message"]
        assert (await client.whole()).body == b"hello"

    on_real_sockets(with_doors(scenario))


@pytest.mark.parametrize(("method", "path", "status"), [("HEAD", "/", 200), ("GET", "/empty", 204)])
def test_some_answers_have_no_body_whatever_the_application_sends(
    method: str, path: str, status: int
) -> None:
    async def scenario(client: Http2Client, _doors: Doors) -> None:
        answer = await client.whole(path, method=method)
        assert (answer.status, answer.body, answer.whole) == (status, b"", True)
        assert not {"content-length", "connection"} & set(answer.headers)
        assert answer.headers.get("x-big") == ("1" if path == "/empty" else None)

    on_real_sockets(with_doors(scenario))


# Bodies


def test_a_body_of_any_length_arrives() -> None:
    content = bytes(range(256)) * 8192  # eight windows of a stream, two of the connection

    async def scenario(client: Http2Client, doors: Doors) -> None:
        answer = await client.ask("/echo", method="POST", end=False)
        await client.send_body(answer, content)
        await client.until(lambda: answer.over)
        assert answer.whole
        assert answer.body == content
        assert doors.bodies == [content]

    on_real_sockets(with_doors(scenario))


def test_a_body_that_nobody_reads_holds_up_no_other_stream() -> None:
    async def scenario(client: Http2Client, doors: Doors) -> None:
        deaf = await client.ask("/deaf", method="POST", end=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_body, deaf, bytes(4 * STREAM_WINDOW_BYTES))
            await trio.sleep(1)
            assert client.http.local_flow_control_window(client.number(deaf)) == 0
            echo = await client.ask("/echo", method="POST", end=False)
            await client.send_body(echo, bytes(4 * STREAM_WINDOW_BYTES))
            await client.until(lambda: echo.over)
            assert len(echo.body) == 4 * STREAM_WINDOW_BYTES
            await client.until(lambda: deaf.over)
        # Answered before its body was read: the rest is not wanted, and its window is given back.
        assert (deaf.status, deaf.body, deaf.whole) == (200, b"no matter", True)
        for _ in range(8):
            again = await client.ask("/deaf", method="POST", end=False)
            await client.send_body(again, bytes(STREAM_WINDOW_BYTES))
        await client.until(lambda: all(answer.over for answer in client.answers.values()))
        assert all(answer.whole for answer in client.answers.values())

    on_real_sockets(with_doors(scenario))


def test_who_waits_to_be_told_to_go_on_is_told() -> None:
    async def scenario(client: Http2Client, doors: Doors) -> None:
        answer = await client.ask(
            "/echo", method="POST", end=False, headers=[("expect", "100-continue")]
        )
        await client.until(lambda: answer.informed)
        await client.send_body(answer, b"content")
        await client.until(lambda: answer.over)
        assert (answer.informed, answer.status, answer.body) == ([100], 200, b"content")
        plain = await client.whole("/echo", method="POST", fields={})
        assert (plain.informed, plain.body) == ([], b"{}")

    on_real_sockets(with_doors(scenario))


# Requests that are none


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"method": "BREW"}, 501),
        ({"path": "no-path"}, 400),
        ({"path": "/\xff"}, 400),
        ({"path": "/a b"}, 400),
        ({"path": "/#there"}, 400),
        ({"headers": [("x", "a\x01b")]}, 400),
        ({"headers": [("a/b", "c")]}, 400),
        ({"headers": [("x", str(number)) for number in range(300)]}, 431),
    ],
    ids=["method", "target", "bytes", "space", "fragment", "value", "name", "many"],
)
def test_what_is_no_request_here_is_refused_and_others_go_on(
    request_: dict[str, Any], status: int
) -> None:
    async def scenario(client: Http2Client, doors: Doors) -> None:
        answer = await client.whole(**request_)
        assert answer.status == status
        assert answer.json()["error"]["code"] == "malformed_request"
        assert "x-request-id" in answer.headers
        assert (await client.whole()).body == b"hello"
        assert len(doors.scopes) == 1

    on_real_sockets(with_doors(scenario))


BROKEN: dict[str, list[tuple[str, str]]] = {
    "a connection header": [("connection", "close")],
    "an upper-case name": [("X-Big", "1")],
    "a line end in a value": [("x", "a\r\nb")],
    "a length that is none": [("content-length", "two")],
    "another host": [("host", "y")],
    "headers beyond the limit": [(f"x-{number}", "v" * 1000) for number in range(70)],
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_the_protocol_closes_the_connection(case: str) -> None:
    async def scenario(client: Http2Client, doors: Doors) -> None:
        await client.ask(headers=BROKEN[case])
        await client.until(lambda: client.closed_at is not None)
        ((_, code),) = client.goaways
        assert code != NO_ERROR
        assert not doors.scopes

    on_real_sockets(with_doors(scenario))


def test_a_fault_in_one_connection_ends_that_one_alone(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty:
        def __init__(self) -> None:
            raise KeyError("a fault of the server")

    async def scenario() -> None:
        async with serving(hello, http1="lean", parser=Faulty) as served:  # type: ignore[arg-type]
            for _ in range(2):
                stream = await served.connect()
                with pytest.raises(trio.BrokenResourceError):
                    await stream.receive_some()
            await served.wait_empty()

    on_real_sockets(scenario)
    assert [record.message for record in caplog.records] == ["a connection failed"] * 2


# Clients that leave


async def by_reset(client: Http2Client) -> None:
    for answer in client.answers.values():
        if not answer.over:
            await client.reset(answer)


async def by_close(client: Http2Client) -> None:
    await trio.aclose_forcefully(client.stream)


async def by_half_close(client: Http2Client) -> None:
    assert isinstance(client.stream, trio.SocketStream)
    await client.stream.send_eof()


async def by_goaway(client: Http2Client) -> None:
    client.http.close_connection()
    await client.flush()


@pytest.mark.parametrize("leave", [by_reset, by_close, by_half_close, by_goaway])
@pytest.mark.parametrize("path", ["/wait", "/silent"])
def test_i7_a_client_that_leaves_is_noticed_at_once(
    path: str, leave: Callable[[Http2Client], Awaitable[None]]
) -> None:
    async def scenario(client: Http2Client, doors: Doors) -> None:
        await client.ask(path)
        await trio.sleep(5)
        await leave(client)
        await trio.sleep(5)
        assert doors.gone_at == [pytest.approx(5, abs=0.2)]

    on_real_sockets(with_doors(scenario))


def test_i7_a_reset_concerns_its_stream_alone() -> None:
    async def scenario(client: Http2Client, doors: Doors) -> None:
        slow, waiting = await client.ask("/slow"), await client.ask("/wait")
        await client.until(lambda: waiting.body)
        await client.reset(waiting)
        await client.until(lambda: slow.over)
        assert doors.gone_at == [pytest.approx(0, abs=0.2)]
        assert (slow.body, slow.whole) == (b"0123456789", True)

    on_real_sockets(with_doors(scenario))


def test_a_client_that_leaves_in_the_middle_of_its_body_is_gone() -> None:
    told: list[str] = []

    async def note(_scope: dict[str, Any], receive: Messages, _send: Send) -> None:
        told.extend([(await receive())["type"], (await receive())["type"]])

    async def scenario() -> None:
        async with serving(note) as served, client_of(served) as client:
            answer = await client.ask(method="POST", end=False)
            await client.send_body(answer, b"begun", end=False)
            await trio.sleep(1)
            await client.reset(answer)
            await trio.sleep(1)
            assert told == ["http.request", "http.disconnect"]

    on_real_sockets(scenario)

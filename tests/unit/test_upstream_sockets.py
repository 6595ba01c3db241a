"""The whole client over real sockets and TLS, where memory streams would be too kind."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from router.netpoll import Netpoll, PolledSocket
from router.upstream.client import OutgoingRequest, PoolSnapshot, UpstreamClient, UpstreamResponse
from router.upstream.dial import TcpDialer
from router.upstream.errors import UpstreamCut
from router.upstream.origin import Origin

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SMALL = OutgoingRequest(b"POST", b"/", [], b"{}")
LARGE = OutgoingRequest(b"POST", b"/", [], bytes(20_000_000))

Handler = Callable[[trio.abc.Stream], Awaitable[None]]


class Server:
    """Serves one handler on a free loopback port, plain or over TLS, and counts connections."""

    def __init__(self, scheme: str, nursery: trio.Nursery, netpoll: Netpoll | None) -> None:
        self._scheme = scheme
        self._nursery = nursery
        self.connections = 0
        self.client = UpstreamClient(
            dial=TcpDialer(ssl.create_default_context(cafile=TLS / "ca.pem")), netpoll=netpoll
        )

    async def start(self, handler: Handler) -> Origin:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")

        async def serve_one(stream: trio.SocketStream) -> None:
            self.connections += 1
            try:
                await handler(self._wrap(stream))
            except trio.BrokenResourceError:
                return  # resets are what these tests are about

        self._nursery.start_soon(trio.serve_listeners, serve_one, listeners)
        return Origin(self._scheme, "127.0.0.1", listeners[0].socket.getsockname()[1])

    def _wrap(self, stream: trio.SocketStream) -> trio.abc.Stream:
        if self._scheme == "http":
            return stream
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(TLS / "server.pem", TLS / "server-key.pem")
        return trio.SSLStream(stream, context, server_side=True, https_compatible=True)


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["trio waits", "netpoll"])
async def server(
    request: pytest.FixtureRequest, scheme: str, nursery: trio.Nursery
) -> AsyncIterator[Server]:
    netpoll = Netpoll()
    if request.param == "netpoll":
        await nursery.start(netpoll.run)
    server = Server(scheme, nursery, netpoll)
    yield server
    await server.client.aclose()
    assert server.client.snapshot() == PoolSnapshot()
    assert netpoll.holding == 0
    nursery.cancel_scope.cancel()


async def serve_ok(stream: trio.abc.Stream) -> None:
    while await stream.receive_some():
        await stream.send_all(OK)


async def exchange(server: Server, origin: Origin, request: OutgoingRequest) -> tuple[int, bytes]:
    response = await server.client.send(origin, request)
    try:
        return response.status, await response.read(1000)
    finally:
        response.discard()


async def test_connections_are_kept_alive(server: Server) -> None:
    origin = await server.start(serve_ok)
    for _ in range(3):
        assert await exchange(server, origin, SMALL) == (200, b"ok")
    assert server.connections == 1


async def test_an_idle_connection_closed_by_the_origin_is_noticed_before_use(
    server: Server,
) -> None:
    closed = trio.Event()

    async def serve_one_request(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(OK)
        await stream.aclose()
        closed.set()

    origin = await server.start(serve_one_request)
    response = await server.client.send(origin, SMALL)
    assert await response.read(2) == b"ok"
    response.discard()
    await closed.wait()
    again = await server.client.send(origin, SMALL)
    assert (again.status, again.reused) == (200, False)
    again.discard()
    assert server.connections == 2


async def test_words_spoken_unasked_are_not_taken_for_the_next_answer(server: Server) -> None:
    spoken = trio.Event()

    async def time_out_after_one(stream: trio.abc.Stream) -> None:
        if server.connections > 1:
            await serve_ok(stream)
        await stream.receive_some()
        await stream.send_all(OK)
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_all(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        spoken.set()
        await trio.sleep_forever()

    origin = await server.start(time_out_after_one)
    assert await exchange(server, origin, SMALL) == (200, b"ok")
    await spoken.wait()
    assert await exchange(server, origin, SMALL) == (200, b"ok")
    assert server.connections == 2


async def test_a_body_without_a_length_ends_with_the_connection(server: Server) -> None:
    async def answer_and_close(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\n\r\nall there is")
        await stream.aclose()

    origin = await server.start(answer_and_close)
    assert await exchange(server, origin, SMALL) == (200, b"all there is")


async def test_a_large_body_arrives_whole(server: Server) -> None:
    received = 0

    async def swallow(stream: trio.abc.Stream) -> None:
        nonlocal received
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive_some()
        received = len(head.partition(b"\r\n\r\n")[2])
        while received < 20_000_000:
            received += len(await stream.receive_some(1_000_000))
        await stream.send_all(OK)
        await stream.receive_some()

    origin = await server.start(swallow)
    assert await exchange(server, origin, LARGE) == (200, b"ok")
    assert received == 20_000_000
    assert server.client.snapshot() == PoolSnapshot(idle=1)


REFUSAL = b"HTTP/1.1 413 Too Large\r\ncontent-length: 5\r\nconnection: close\r\n\r\nlarge"


async def test_a_refusal_followed_by_a_reset_is_still_read(server: Server) -> None:
    async def refuse(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(REFUSAL)
        await stream.aclose()  # with unread data, so the kernel sends a reset

    origin = await server.start(refuse)
    assert await exchange(server, origin, LARGE) == (413, b"large")


async def test_a_refusal_by_an_origin_that_just_stops_reading_is_read(server: Server) -> None:
    async def refuse(stream: trio.abc.Stream) -> None:
        await stream.receive_some(1000)
        await stream.send_all(REFUSAL[:-2])
        await stream.send_all(REFUSAL[-2:])
        await trio.sleep_forever()

    origin = await server.start(refuse)
    assert await exchange(server, origin, LARGE) == (413, b"large")


async def test_leaving_a_stream_shows_the_origin_a_closed_connection(server: Server) -> None:
    left = trio.Event()

    async def stream_on(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        while await stream.receive_some():
            pass
        left.set()

    origin = await server.start(stream_on)
    response = await server.client.send(origin, SMALL)
    with trio.CancelScope() as scope:
        assert await response.receive_body() == b"x"
        scope.cancel()
        await response.receive_body()
    response.discard()
    assert server.client.snapshot() == PoolSnapshot()
    await left.wait()


async def interrupted_in(server: Server, origin: Origin, request: OutgoingRequest) -> PoolSnapshot:
    """Ask for an answer, interrupt what waits for it, and return what is held after that."""
    lent = trio.Event()
    responses: list[UpstreamResponse] = []

    def connected(response: UpstreamResponse) -> None:
        responses.append(response)
        lent.set()

    async def ask() -> None:
        response = await server.client.send(origin, request, on_connected=connected)
        try:
            await response.read(1000)
        finally:
            response.discard()

    async def ask_in_vain() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await ask()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_in_vain)
        await lent.wait()
        await trio.testing.wait_all_tasks_blocked(0.02)
        responses[0].interrupt()
    responses[0].interrupt()  # again is harmless
    return server.client.snapshot()


@pytest.mark.parametrize("request_", [SMALL, LARGE], ids=["small", "large"])
async def test_who_waits_for_a_head_is_interrupted_by_closing_the_connection(
    server: Server, request_: OutgoingRequest
) -> None:
    async def read_a_little(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await trio.sleep_forever()

    origin = await server.start(read_a_little)
    assert await interrupted_in(server, origin, request_) == PoolSnapshot()


async def test_who_waits_for_a_body_is_interrupted_by_closing_the_connection(
    server: Server,
) -> None:
    async def stall(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no")
        await trio.sleep_forever()

    origin = await server.start(stall)
    assert await interrupted_in(server, origin, SMALL) == PoolSnapshot()


async def test_a_connection_that_was_interrupted_is_not_kept_though_its_answer_is_whole(
    server: Server,
) -> None:
    responses: list[UpstreamResponse] = []
    origin = await server.start(serve_ok)
    response = await server.client.send(origin, SMALL, on_connected=responses.append)
    assert await response.read(1000) == b"ok"
    responses[0].interrupt()
    response.discard()
    assert server.client.snapshot() == PoolSnapshot()
    responses[0].interrupt()  # of whoever has it now, this is none of its business
    assert await exchange(server, origin, SMALL) == (200, b"ok")


@pytest.mark.parametrize("taken", [0, 3])
async def test_a_small_request_that_did_not_go_out_at_once_is_written_to_its_end(
    server: Server, monkeypatch: pytest.MonkeyPatch, taken: int
) -> None:
    async def serve_whole(stream: trio.abc.Stream) -> None:
        read = b""
        while data := await stream.receive_some():
            read += data
            if read.endswith(b"{}"):
                read = b""
                await stream.send_all(OK)

    origin = await server.start(serve_whole)
    short_writes(monkeypatch, taken)
    assert await exchange(server, origin, SMALL) == (200, b"ok")
    assert await exchange(server, origin, SMALL) == (200, b"ok")


@pytest.mark.parametrize(("status", "is_believed"), [(200, False), (413, True)])
async def test_an_answer_to_a_small_request_that_was_cut_is_believed_if_it_refuses(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch, status: int, is_believed: bool
) -> None:
    async def answer_early(stream: trio.abc.Stream) -> None:
        assert await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 %d So\r\ncontent-length: 0\r\n\r\n" % status)

    netpoll = Netpoll()
    await nursery.start(netpoll.run)
    server = Server("http", nursery, netpoll)
    origin = await server.start(answer_early)
    short_writes(monkeypatch, 3)
    monkeypatch.setattr(PolledSocket, "wake", lambda _polled: None)  # only the answer wakes it
    if is_believed:
        assert await exchange(server, origin, SMALL) == (status, b"")
    else:
        with pytest.raises(UpstreamCut):
            await exchange(server, origin, SMALL)
    assert server.client.snapshot() == PoolSnapshot()
    await server.client.aclose()
    nursery.cancel_scope.cancel()


def short_writes(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    """Let the first write of each test take so many bytes, and no more."""
    whole, short = PolledSocket.write_now, [taken]

    def write_now(polled: PolledSocket, data: bytes) -> int:
        most = short.pop() if short else len(data)
        return whole(polled, data[:most]) if most else 0

    monkeypatch.setattr(PolledSocket, "write_now", write_now)

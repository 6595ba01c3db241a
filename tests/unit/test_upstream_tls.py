"""TLS read without waiting: nothing lost, nothing left behind, whatever the cuts between records and reads.

The other end is an `ssl.SSLObject` whose ciphertext the test holds in its hands, so it decides which bytes
have come and which have not.
"""

import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from router.upstream.connection import HttpConnection
from router.upstream.message import OutgoingRequest
from router.upstream.origin import Origin
from router.upstream.tls import TlsStream

TLS = Path(__file__).parent.parent / "fixtures" / "tls"
READ_BYTES = 64 * 1024


def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem", TLS / "server-key.pem")
    return context


SERVER = server_context()
CLIENT = ssl.create_default_context(cafile=TLS / "ca.pem")


class Origins:
    """The origin's end: encrypts into bytes that go out only as the test sends them."""

    def __init__(self, stream: trio.SocketStream, context: ssl.SSLContext = SERVER) -> None:
        self.stream = stream
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._exchange()
            else:
                await self.stream.send_all(self._outgoing.read())
                return

    def encrypted(self, *records: bytes) -> bytes:
        for record in records:
            self._tls.write(record)
        return self._outgoing.read()

    def goodbye(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.unwrap()
        return self._outgoing.read()

    async def receive(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            try:
                data += self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                self._incoming.write(await self.stream.receive_some())
        return data

    async def _exchange(self) -> None:
        if self._outgoing.pending:
            await self.stream.send_all(self._outgoing.read())
        self._incoming.write(await self.stream.receive_some())


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[TlsStream, Origins]]:
    """Both ends of a connection after the handshake."""
    ours, theirs = trio.socket.socketpair()
    origin = Origins(trio.SocketStream(theirs))
    stream = TlsStream(trio.SocketStream(ours), CLIENT, server_hostname="localhost")
    async with stream, origin.stream, trio.open_nursery() as nursery:
        nursery.start_soon(origin.shake_hands)
        await stream.do_handshake()
        await trio.testing.wait_all_tasks_blocked()
        assert stream.read_now() is None  # takes in the tickets that follow a handshake
        yield stream, origin


async def test_nothing_has_come_until_a_record_is_whole() -> None:
    async with connected() as (stream, origin):
        ciphertext = origin.encrypted(b"hello")
        for place in range(len(ciphertext) - 1):
            await origin.stream.send_all(ciphertext[place : place + 1])
            assert stream.read_now() is None
        await origin.stream.send_all(ciphertext[-1:])
        assert stream.read_now() == b"hello"
        assert stream.read_now() is None


async def test_a_read_leaves_nothing_behind_that_a_poll_would_not_tell_of() -> None:
    async with connected() as (stream, origin):
        await origin.stream.send_all(origin.encrypted(*[b"%04d" % n for n in range(500)]))
        assert stream.read_now() == b"".join(b"%04d" % n for n in range(500))


async def test_what_a_smaller_read_left_is_the_first_that_comes_next() -> None:
    async with connected() as (stream, origin):
        await origin.stream.send_all(origin.encrypted(b"one two", b" three"))
        assert await stream.receive_some(3) == b"one"
        assert stream.read_now() == b" two three"


@given(
    sizes=st.lists(st.integers(1, 40_000), max_size=4),
    cuts=st.lists(st.integers(700, 30_000), min_size=1, max_size=20),
    reads=st.lists(st.sampled_from(["now", "some", "some of it"]), min_size=1, max_size=9),
)
def test_the_same_bytes_come_however_they_are_cut_and_read(
    sizes: list[int], cuts: list[int], reads: list[str]
) -> None:
    records = [(b"%05d" % size * size)[:size] for size in sizes]
    received = bytearray()

    async def read(stream: TlsStream, way: str) -> bytes | None:
        if way == "now":
            return stream.read_now()
        with trio.move_on_after(0.1):
            return await stream.receive_some(None if way == "some" else 3_000)
        return None

    async def scenario() -> None:
        async with connected() as (stream, origin):
            rest = origin.encrypted(*records) + origin.goodbye()
            turn = 0
            data: bytes | None = None
            while data != b"":
                size = cuts[turn % len(cuts)]
                await origin.stream.send_all(rest[:size])
                rest = rest[size:]
                data = await read(stream, reads[turn % len(reads)])
                received.extend(data or b"")
                turn += 1
            assert stream.read_now() == b""
            assert await stream.receive_some() == b""

    trio.run(scenario, clock=trio.testing.MockClock(autojump_threshold=0))
    assert received == b"".join(records)


@pytest.mark.parametrize("polite", [True, False], ids=["goodbye", "cut"])
async def test_the_end_is_an_end_with_a_goodbye_and_without(polite: bool) -> None:
    async with connected() as (stream, origin):
        await origin.stream.send_all(
            origin.encrypted(b"last") + (origin.goodbye() if polite else b"")
        )
        await origin.stream.aclose()
        assert await stream.receive_some() == b"last"
        assert await stream.receive_some() == b""
        assert stream.read_now() == b""


async def test_what_came_before_a_spoilt_record_is_read_and_then_the_failure_told_each_time() -> (
    None
):
    async with connected() as (stream, origin):
        good, bad = origin.encrypted(b"good"), bytearray(origin.encrypted(b"bad"))
        bad[-1] ^= 1
        await origin.stream.send_all(good + bad)
        assert stream.read_now() == b"good"
        for _ in range(2):
            with pytest.raises(ssl.SSLError, match="MAC"):
                stream.read_now()
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()


async def test_a_reset_is_an_os_error_to_who_reads_now() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:

        async def reset(transport: trio.SocketStream) -> None:
            origin = Origins(transport)
            await origin.shake_hands()
            transport.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await transport.aclose()

        nursery.start_soon(trio.serve_listeners, reset, listeners)
        port = listeners[0].socket.getsockname()[1]
        transport = await trio.open_tcp_stream("127.0.0.1", port)
        async with TlsStream(transport, CLIENT, server_hostname="localhost") as stream:
            await stream.do_handshake()
            with pytest.raises(trio.BrokenResourceError):
                await stream.receive_some()
        nursery.cancel_scope.cancel()


async def test_a_cancelled_read_has_lost_nothing() -> None:
    async with connected() as (stream, origin):
        ciphertext = origin.encrypted(b"whole")
        with trio.CancelScope() as scope:
            await origin.stream.send_all(ciphertext[:9])
            scope.deadline = trio.current_time()
            await stream.receive_some()
        assert scope.cancelled_caught
        await origin.stream.send_all(ciphertext[9:])
        assert await stream.receive_some() == b"whole"


async def test_a_large_write_arrives_while_the_other_side_speaks() -> None:
    async with connected() as (stream, origin):
        large = bytes(range(256)) * 8_000
        received: list[bytes] = []

        async def take() -> None:
            await origin.stream.send_all(origin.encrypted(b"go on"))
            received.append(await origin.receive(len(large)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(take)
            nursery.start_soon(stream.send_all, large)
            assert await stream.receive_some() == b"go on"
        assert received == [large]


async def test_after_a_cancelled_write_nothing_is_written_any_more() -> None:
    async with connected() as (stream, _):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, bytes(10_000_000))
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        with pytest.raises(trio.BrokenResourceError):
            await stream.send_all(b"more")


async def test_what_tls_says_by_itself_goes_out_while_one_only_reads() -> None:
    async with connected() as (stream, origin):
        stream._tls.write(b"by itself")  # stands for an answer of the library's own
        assert stream.read_now() is None
        assert await origin.receive(9) == b"by itself"


def fill(stream: TlsStream) -> int:
    """Write to the socket until it takes no more; how many bytes that was."""
    filled = 0
    try:
        while True:
            filled += os.write(stream.polled.fileno(), bytes(100_000))
    except BlockingIOError:
        return filled


async def test_what_the_socket_does_not_take_goes_with_the_next_write_in_order() -> None:
    async with connected() as (stream, origin):
        filled = fill(stream)
        stream._tls.write(b"by itself")
        assert stream.read_now() is None
        stream._tls.write(b", twice")
        assert stream.read_now() is None
        while filled:
            filled -= len(await origin.stream.receive_some(filled))
        await stream.send_all(b", and then I")
        assert await origin.receive(28) == b"by itself, twice, and then I"


async def test_an_origin_that_makes_tls_speak_and_takes_nothing_is_given_up() -> None:
    async with connected() as (stream, _):
        fill(stream)
        stream._tls.write(bytes(100_000))
        with pytest.raises(OSError, match="takes none"):
            stream.read_now()


async def test_a_closed_stream_says_so_and_may_be_closed_again() -> None:
    async with connected() as (stream, _):
        stream.close()
        stream.close()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive_some()


async def test_a_connection_tells_what_has_come_over_tls_without_waiting() -> None:
    async with connected() as (stream, origin):
        connection = HttpConnection(stream, Origin("https", "localhost", 443))
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n"
        await origin.stream.send_all(origin.encrypted(head))
        await connection.send(OutgoingRequest(b"GET", b"/", []))
        assert connection.fileno() == stream.polled.fileno()
        assert connection.at_hand() == b"one"
        assert connection.at_hand() is None
        assert connection.source.read_now() is None
        await origin.stream.send_all(origin.encrypted(b"3\r\ntwo\r\n0\r\n\r\n"))
        data = connection.source.read_now()
        assert data is not None
        assert connection.parser.piece_in(data) is None
        connection.parser.receive_data(data)
        assert connection.at_hand() == b"two"
        assert connection.at_hand() == b""
        assert connection.start_next_cycle()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="nobody to change keys with")
@pytest.mark.parametrize("command", [b"k\n", b"K\n"], ids=["of its own", "of both"])
async def test_an_origin_that_changes_its_keys_is_understood_and_answered(command: bytes) -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    await listeners[0].aclose()
    certificate = ["-cert", str(TLS / "server.pem"), "-key", str(TLS / "server-key.pem")]
    serve = ["openssl", "s_server", "-tls1_3", "-accept", f"127.0.0.1:{port}", *certificate]
    start = partial(
        trio.lowlevel.open_process,
        serve,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    process = await start()
    assert process.stdin is not None
    assert process.stdout is not None
    said = bytearray()

    async def until(words: bytes) -> None:
        assert process.stdout is not None
        while words not in said:
            said.extend(await process.stdout.receive_some())

    try:
        await until(b"ACCEPT")
        transport = await trio.open_tcp_stream("127.0.0.1", port)
        async with TlsStream(transport, CLIENT, server_hostname="127.0.0.1") as stream:
            await stream.do_handshake()
            await stream.send_all(b"before\n")
            await until(b"before")
            assert stream.read_now() is None
            await process.stdin.send_all(command)
            await trio.lowlevel.wait_readable(stream.polled)
            assert stream.read_now() is None  # the change itself is nothing to be read
            await process.stdin.send_all(b"with new keys\n")
            assert await stream.receive_some() == b"with new keys\n"
            await stream.send_all(b"after\n")
            await until(b"after")
    finally:
        process.kill()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()

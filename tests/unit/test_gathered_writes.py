"""Writes that go out together, on real sockets: before trio waits next, in order, and all of each."""

import socket
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import cast

import pytest
import trio
import trio.testing
from hypercorn.typing import ASGIFramework

from router.front.http1.asgi_calls import Address, Ends
from router.front.http1.connection import Http1Connection, Shared
from router.front.http1.date import DateHeader
from router.front.http1.idle import IdleConnections
from router.front.http1.leaving import LeaveWatch
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.message import RequestHead
from router.front.http1.turn import Turn
from router.front.http1.usual import UsualHeads
from router.front.http1.wire import PlainWire
from router.netpoll import GATHERED_BYTES, MOST_GATHERED, Netpoll, PolledSocket, UnwrittenError

PATIENCE = 10.0
ENDS = Ends("http", ("127.0.0.1", 1), ("127.0.0.1", 2))
ASK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"

Pair = tuple[PolledSocket, trio.socket.SocketType]


@asynccontextmanager
async def polling() -> AsyncIterator[Netpoll]:
    netpoll = Netpoll()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            await nursery.start(netpoll.run)
            yield netpoll
            nursery.cancel_scope.cancel()


def pair_with(netpoll: Netpoll | None) -> Pair:
    ours, theirs = trio.socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return PolledSocket(ours, netpoll), theirs


def close(pair: Pair) -> None:
    pair[0].close()
    pair[1].close()


def fill(polled: PolledSocket) -> int:
    """Write until the socket takes no more; return how many bytes that was."""
    filled = 0
    while taken := polled.write_now(b"." * 1000):
        filled += taken
    return filled


def come(theirs: trio.socket.SocketType) -> bytes:
    """Return what has come by now, without waiting."""
    try:
        return theirs._sock.recv(65536)  # type: ignore[attr-defined, no-any-return]
    except BlockingIOError:
        return b""


async def read_exactly(theirs: trio.socket.SocketType, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = await theirs.recv(count - len(data))
        assert piece
        data += piece
    return data


async def test_what_is_gathered_goes_out_before_trio_waits_and_not_before() -> None:
    async with polling() as netpoll:
        pairs = [pair_with(netpoll) for _ in range(3)]
        for number, (ours, _) in enumerate(pairs):
            assert ours.write_soon(b"%d" % number)
        assert [come(theirs) for _, theirs in pairs] == [b"", b"", b""]
        await trio.lowlevel.checkpoint()
        assert [come(theirs) for _, theirs in pairs] == [b"0", b"1", b"2"]
        for pair in pairs:
            close(pair)


async def test_no_more_than_so_many_wait_for_each_other() -> None:
    async with polling() as netpoll:
        pairs = [pair_with(netpoll) for _ in range(MOST_GATHERED + 1)]
        for ours, _ in pairs:
            ours.write_soon(b"x")
        assert [come(theirs) for _, theirs in pairs] == [b"x"] * MOST_GATHERED + [b""]
        await trio.lowlevel.checkpoint()
        assert come(pairs[-1][1]) == b"x"
        for pair in pairs:
            close(pair)


async def test_without_a_netpoll_it_goes_out_at_once() -> None:
    pair = ours, theirs = pair_with(None)
    assert ours.write_soon(b"x")
    assert come(theirs) == b"x"
    fill(ours)
    assert not ours.write_soon(b"y")
    assert ours.take_back() == b"y"
    assert not ours.unwritten
    close(pair)


async def test_what_is_gathered_when_the_netpoll_ends_goes_out() -> None:
    async with polling() as netpoll:
        pair = ours, theirs = pair_with(netpoll)
        ours.write_soon(b"x")
    assert come(theirs) == b"x"
    close(pair)


async def test_who_closes_has_written() -> None:
    async with polling() as netpoll:
        ours, theirs = pair_with(netpoll)
        ours.write_soon(b"x")
        ours.close()
        assert await theirs.recv(10) == b"x"
        assert await theirs.recv(10) == b""
        theirs.close()


@pytest.mark.parametrize("waits", [True, False])
@pytest.mark.parametrize("breaks", [True, False])
async def test_the_reader_is_told_of_what_did_not_go_out(waits: bool, breaks: bool) -> None:
    told: list[bytes] = []

    async def read() -> None:
        with pytest.raises(UnwrittenError):
            await ours.read()
        told.append(ours.take_back())

    async with polling() as netpoll, trio.open_nursery() as nursery:
        pair = ours, theirs = pair_with(netpoll)
        if breaks:
            theirs.shutdown(socket.SHUT_RD)
        else:
            fill(ours)
        if waits:
            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
        ours.write_soon(b"x")
        if not waits:
            await trio.lowlevel.checkpoint()
            nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == [b"x"]
        close(pair)


async def test_a_part_that_went_out_is_not_written_again() -> None:
    said = bytes(range(256)) * (GATHERED_BYTES // 256)
    reading: list[bytes] = []

    async def read() -> None:
        reading.append(await wire.receive())

    async with polling() as netpoll, trio.open_nursery() as nursery:
        pair = ours, theirs = pair_with(netpoll)
        wire = PlainWire(ours, write_seconds=30)
        assert wire.write_soon(said)
        await trio.lowlevel.checkpoint()
        assert 0 < len(ours.unwritten) < len(said)
        nursery.start_soon(read)
        assert await read_exactly(theirs, len(said)) == said
        await theirs.send(b"next")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert reading == [b"next"]
        assert come(theirs) == b""
        close(pair)


async def test_what_is_written_afterwards_comes_afterwards() -> None:
    async with polling() as netpoll:
        pair = ours, theirs = pair_with(netpoll)
        wire = PlainWire(ours, write_seconds=30)
        assert wire.write_soon(b"one ")
        assert not wire.write_now(b"two ")
        assert not wire.write_soon(b"three ")
        await wire.flush()
        assert wire.write_soon(b"four ")
        await wire.flush()
        assert wire.write_now(b"five")
        assert come(theirs) == b"one two three four five"
        close(pair)


@pytest.mark.parametrize("aborts", [True, False])
async def test_a_wire_that_ends_has_written(aborts: bool) -> None:
    async with polling() as netpoll:
        ours, theirs = pair_with(netpoll)
        wire = PlainWire(ours, write_seconds=30)
        wire.write_soon(b"x")
        if aborts:
            wire.abort()
        else:
            await wire.close(linger=False)
        assert come(theirs) == b"x"
        theirs.close()


async def test_one_that_takes_nothing_is_dropped_in_its_time(
    autojump_clock: trio.testing.MockClock,
) -> None:
    autojump_clock.autojump_threshold = 0.02
    netpoll = Netpoll()
    async with trio.open_nursery() as nursery:
        await nursery.start(netpoll.run)
        ours, theirs = pair_with(netpoll)
        wire = PlainWire(ours, write_seconds=30)
        fill(ours)
        began = trio.current_time()
        assert wire.write_soon(b"x")
        assert await wire.receive() == b""
        assert trio.current_time() - began == pytest.approx(30, abs=0.5)
        assert ours.fileno() == -1
        theirs.close()
        nursery.cancel_scope.cancel()


class AnswersAtOnce:
    """A plane that answers every request with the same whole answer."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.asked = 0

    def serve_turn(
        self, request: RequestHead, turn: Turn, *, client: Address
    ) -> Awaitable[None] | None:
        self.asked += 1
        return turn.answer(200, [], self._body)


async def test_a_client_that_asks_on_and_reads_late_gets_every_answer_whole() -> None:
    body = bytes(range(256)) * 16
    plane = AnswersAtOnce(body)
    async with polling() as netpoll, trio.open_nursery() as nursery:
        ours, theirs = pair_with(netpoll)
        watch = LeaveWatch()
        nursery.start_soon(watch.run)
        idle = IdleConnections(40)
        shared = Shared(
            app=cast("ASGIFramework", None),
            plane=plane,
            parser=LlhttpParser,
            idle=idle,
            watch=watch,
            heads=UsualHeads(DateHeader().now),
        )
        wire = PlainWire(ours, write_seconds=30)
        nursery.start_soon(Http1Connection(shared, wire, ours, ENDS).run)
        while not ours.unwritten and not wire._kept:  # until an answer does not go out at once
            await theirs.send(ASK)
            await trio.testing.wait_all_tasks_blocked(0.01)
        idle.close_all()  # it is not idle, with an answer under way
        heard = b""
        while heard.count(body) < plane.asked:
            heard += await theirs.recv(65536)
        assert heard.count(b"HTTP/1.1 200") == heard.count(body) == plane.asked
        assert await theirs.recv(1) == b""
        theirs.close()
        nursery.cancel_scope.cancel()

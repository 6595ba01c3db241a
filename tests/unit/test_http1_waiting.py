"""The two tasks that wait for all connections: for those that leave, and for those that are idle too long."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
import trio
import trio.testing
from hypercorn.typing import ASGIFramework

from router.front.http1.asgi_calls import Ends
from router.front.http1.connection import Http1Connection, Shared
from router.front.http1.date import DateHeader
from router.front.http1.idle import FIRST_SECONDS, IdleConnections
from router.front.http1.leaving import LeaveWatch
from router.front.http1.llhttp import LlhttpParser
from router.front.http1.usual import UsualHeads
from router.front.http1.wire import PlainWire
from router.netpoll import Netpoll, PolledSocket
from tests.simulated.served import Direct, hello

ENDS = Ends("http", ("127.0.0.1", 1), ("127.0.0.1", 2))


@asynccontextmanager
async def watching() -> AsyncIterator[LeaveWatch]:
    watch = LeaveWatch()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.run)
        yield watch
        nursery.cancel_scope.cancel()


async def test_one_that_leaves_is_told_once_and_what_it_sends_is_not_read() -> None:
    ours, theirs = trio.socket.socketpair()
    left = trio.Event()
    told: list[str] = []

    def note() -> None:
        told.append("left")
        left.set()

    with ours, theirs:
        async with watching() as watch:
            watch.add(ours, note)
            await theirs.send(b"ahead")
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert told == []
            theirs.close()
            await left.wait()
            await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == ["left"]
        assert await ours.recv(100) == b"ahead"


async def test_a_socket_that_got_anothers_number_is_still_watched() -> None:
    ours, theirs = trio.socket.socketpair()
    told: list[str] = []
    left = trio.Event()

    def first() -> None:
        told.append("first")

    def second() -> None:
        told.append("second")
        left.set()

    async with watching() as watch:
        number = watch.add(ours, first)
        ours.close()
        theirs.close()
        ours, theirs = trio.socket.socketpair()
        watch.add(ours if ours.fileno() == number else theirs, second)
        assert number in {ours.fileno(), theirs.fileno()}
        watch.remove(number, first)
        ours.shutdown(trio.socket.SHUT_RDWR)
        await left.wait()
    ours.close()
    theirs.close()
    assert told == ["second"]


async def test_one_that_is_watched_no_longer_is_not_told() -> None:
    ours, theirs = trio.socket.socketpair()
    told: list[str] = []

    def note() -> None:
        told.append("left")

    with ours:
        async with watching() as watch:
            watch.remove(watch.add(ours, note), note)
            theirs.close()
            await trio.testing.wait_all_tasks_blocked(0.01)
    assert told == []


async def test_i7_who_left_while_idle_has_left_when_its_request_is_read() -> None:
    ours, theirs = trio.socket.socketpair()
    cancelled: list[bool] = []

    async def app(scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        scope["state"]["turn"].cancel_on_leave()
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled.append(True)
            raise

    async with watching() as watch:
        shared = Shared(
            app=cast("ASGIFramework", hello),
            plane=Direct(app),
            parser=LlhttpParser,
            idle=IdleConnections(40),
            watch=watch,
            heads=UsualHeads(DateHeader().now),
        )
        wire = PlainWire(PolledSocket(ours), write_seconds=30)
        connection = Http1Connection(shared, wire, ours, ENDS)
        connection._on_leave()
        await theirs.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with trio.fail_after(10):
            await connection.run()
    theirs.close()
    assert cancelled == [True]


async def test_the_idle_are_closed_in_their_time_and_the_busy_are_not(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pairs = [trio.socket.socketpair() for _ in range(3)]
    early, late, busy = (pair[0] for pair in pairs)
    idle = IdleConnections(40)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(idle.run)
        await trio.sleep(5)
        idle.add(early)
        idle.add(busy)
        await trio.sleep(10)
        idle.add(late)
        idle.discard(busy)
        await trio.sleep(29.9)
        assert early.fileno() >= 0
        await trio.sleep(0.2)
        assert (early.fileno(), late.fileno() >= 0) == (-1, True)
        await trio.sleep(10)
        assert (late.fileno(), busy.fileno() >= 0) == (-1, True)
        idle.add(busy)
        idle.close_all()
        assert busy.fileno() == -1
        nursery.cancel_scope.cancel()
    for pair in pairs:
        pair[1].close()


@pytest.mark.parametrize("aborts", [False, True])
async def test_who_waits_in_the_netpoll_is_told_when_its_connection_is_closed(aborts: bool) -> None:
    ours, theirs = trio.socket.socketpair()
    netpoll = Netpoll()
    idle = IdleConnections(40)
    told: list[bytes] = []

    async def receive() -> None:
        told.append(await wire.receive())

    async with trio.open_nursery() as nursery:
        await nursery.start(netpoll.run)
        polled = PolledSocket(ours, netpoll)
        wire = PlainWire(polled, write_seconds=30)
        idle.add(polled)
        nursery.start_soon(receive)
        await trio.testing.wait_all_tasks_blocked()
        assert (told, netpoll.holding) == ([], 1)
        if aborts:
            wire.abort()
        else:
            idle.close_all()
        await trio.testing.wait_all_tasks_blocked()
        assert (told, netpoll.holding, ours.fileno()) == ([b""], 0, -1)
        nursery.cancel_scope.cancel()
    theirs.close()


async def test_what_becomes_idle_at_the_end_is_closed_at_once() -> None:
    ours, theirs = trio.socket.socketpair()
    idle = IdleConnections(40)
    idle.close_all()
    idle.add(ours)
    assert ours.fileno() == -1
    theirs.close()


async def test_at_the_end_only_what_was_just_made_has_a_moment_for_its_first_request(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pairs = [trio.socket.socketpair() for _ in range(5)]
    asked, old, young, asking, late = (pair[0] for pair in pairs)
    idle = IdleConnections(40)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(idle.run)
        await trio.sleep(5)
        idle.add(old, is_fresh=True)
        await trio.sleep(10)
        idle.add(asked)
        idle.add(young, is_fresh=True)
        idle.add(asking, is_fresh=True)
        await trio.sleep(FIRST_SECONDS / 2)
        idle.close_all()
        assert (asked.fileno(), old.fileno()) == (-1, -1)
        idle.add(late, is_fresh=True)
        idle.discard(asking)
        await trio.sleep(FIRST_SECONDS * 0.6)
        assert (young.fileno(), late.fileno() >= 0) == (-1, True)
        await trio.sleep(FIRST_SECONDS * 0.5)
        assert (late.fileno(), asking.fileno() >= 0) == (-1, True)
        nursery.cancel_scope.cancel()
    for pair in pairs:
        pair[0].close()
        pair[1].close()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        ([0.0], [b"Thu, 01 Jan 1970 00:00:00 GMT"]),
        ([784111777.9, 784111777.1], [b"Sun, 06 Nov 1994 08:49:37 GMT"] * 2),
        ([784111777.9, 784111778.0], [b"Sun, 06 Nov 1994 08:49:3%d GMT" % n for n in (7, 8)]),
    ],
)
def test_the_date_is_that_of_the_second(seconds: list[float], told: list[bytes]) -> None:
    header = DateHeader(iter(seconds).__next__)
    assert [header.now() for _ in told] == [(b"date", text) for text in told]

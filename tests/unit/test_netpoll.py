"""Waiting for sockets that lie in the worker's own epoll object, on real sockets."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import trio
import trio.testing

from router.netpoll import READ_BYTES, Netpoll, PolledSocket

PATIENCE = 10.0

Pair = tuple[PolledSocket, trio.socket.SocketType]


@asynccontextmanager
async def polling() -> AsyncIterator[Netpoll]:
    """A netpoll that runs; at the end it must hold nothing."""
    netpoll = Netpoll()
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            await nursery.start(netpoll.run)
            yield netpoll
            assert netpoll.holding == 0
            nursery.cancel_scope.cancel()


def pair_with(netpoll: Netpoll | None) -> Pair:
    ours, theirs = trio.socket.socketpair()
    return PolledSocket(ours, netpoll), theirs


async def read_into(polled: PolledSocket, told: list[bytes | str]) -> None:
    try:
        told.append(await polled.read())
    except trio.ClosedResourceError:
        told.append("closed")


class Waiting(NamedTuple):
    """A task that waits to read from `ours`; `told` is what came of it."""

    netpoll: Netpoll
    ours: PolledSocket
    theirs: trio.socket.SocketType
    told: list[bytes | str]


@asynccontextmanager
async def one_waits() -> AsyncIterator[Waiting]:
    """One task waits in a netpoll that runs; its socket is closed in the end."""
    async with polling() as netpoll, trio.open_nursery() as nursery:
        one = Waiting(netpoll, *pair_with(netpoll), [])
        nursery.start_soon(read_into, one.ours, one.told)
        await trio.testing.wait_all_tasks_blocked()
        assert (one.told, netpoll.holding) == ([], 1)
        yield one
        one.ours.close()
        one.theirs.close()


async def test_who_waits_is_woken_and_reads_what_came_and_then_the_end() -> None:
    async with one_waits() as (_, ours, theirs, told):
        await theirs.send(b"one")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == [b"one"]
        theirs.close()
        assert await ours.read() == b""
        assert await ours.read() == b""


async def test_what_came_before_anybody_waited_is_read_at_once() -> None:
    async with polling() as netpoll:
        ours, theirs = pair_with(netpoll)
        await theirs.send(b"early")
        assert await ours.read() == b"early"
        await theirs.send(b"while nobody waits")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert await ours.read() == b"while nobody waits"
        ours.close()
        theirs.close()


async def test_an_end_that_comes_with_the_last_bytes_is_not_missed() -> None:
    async with one_waits() as (_, ours, theirs, told):
        await theirs.send(b"last")
        theirs.close()
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == [b"last"]
        assert await ours.read() == b""


async def test_more_than_one_read_takes_is_read_to_its_end() -> None:
    async with polling() as netpoll, trio.open_nursery() as nursery:
        ours, theirs = pair_with(netpoll)
        sent = b"x" * (5 * READ_BYTES + 17)
        nursery.start_soon(_send_all, theirs, sent)
        got = bytearray()
        while len(got) < len(sent):
            got += await ours.read()
        assert bytes(got) == sent
        ours.close()
        theirs.close()


async def test_who_is_cancelled_has_lost_nothing() -> None:
    async with polling() as netpoll:
        ours, theirs = pair_with(netpoll)
        with trio.move_on_after(0.001) as scope:
            await ours.read()
        assert scope.cancelled_caught
        await theirs.send(b"later")
        assert await ours.read() == b"later"
        ours.close()
        theirs.close()


async def test_who_waits_is_told_when_the_socket_is_closed() -> None:
    async with one_waits() as (_, ours, _, told):
        ours.close()
        ours.close()
        await trio.testing.wait_all_tasks_blocked()
        assert told == ["closed"]
        with pytest.raises(trio.ClosedResourceError):
            await ours.read()


async def test_only_one_may_wait() -> None:
    async with one_waits() as one:
        with pytest.raises(trio.BusyResourceError):
            await one.ours.read()


async def test_one_of_which_nobody_wants_to_hear_is_let_go_until_somebody_does() -> None:
    async with polling() as netpoll:
        ours, theirs = pair_with(netpoll)
        await theirs.send(b"a")
        assert await ours.read() == b"a"
        await theirs.send(b"b")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert netpoll.holding == 1
        await theirs.send(b"c")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert netpoll.holding == 0
        assert await ours.read() == b"bc"
        await theirs.send(b"d")
        assert await ours.read() == b"d"
        assert netpoll.holding == 1
        ours.close()
        theirs.close()


async def test_one_that_was_let_go_can_be_read_by_another_and_waited_for_again() -> None:
    async with polling() as netpoll:
        ours, theirs = pair_with(netpoll)
        await theirs.send(b"a")
        assert await ours.read() == b"a"
        ours.let_go()
        assert ours.read_now() is None
        await theirs.send(b"b")
        await trio.lowlevel.wait_readable(ours.fileno())
        assert ours.read_now() == b"b"
        await theirs.send(b"c")
        assert await ours.read() == b"c"
        ours.close()
        theirs.close()


async def test_a_number_that_another_socket_has_now_is_that_ones() -> None:
    async with polling() as netpoll:
        first, theirs = pair_with(netpoll)
        await theirs.send(b"a")
        assert await first.read() == b"a"
        number = first.fileno()
        first.socket.close()  # behind the back of the netpoll
        theirs.close()
        second, theirs = pair_with(netpoll)
        if second.fileno() != number:
            second, theirs = PolledSocket(theirs, netpoll), second.socket
        assert second.fileno() == number
        await theirs.send(b"b")
        assert await second.read() == b"b"
        first.close()
        assert netpoll.holding == 1
        await theirs.send(b"c")
        assert await second.read() == b"c"
        second.close()
        theirs.close()


async def test_who_waits_when_it_ends_goes_on_waiting_without_it() -> None:
    netpoll = Netpoll()
    ours, theirs = pair_with(netpoll)
    told: list[bytes | str] = []
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as readers:
            async with trio.open_nursery() as nursery:
                await nursery.start(netpoll.run)
                readers.start_soon(read_into, ours, told)
                await trio.testing.wait_all_tasks_blocked()
                nursery.cancel_scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            assert (told, netpoll.holding) == ([], 0)
            await theirs.send(b"still here")
    assert told == [b"still here"]
    ours.close()
    theirs.close()


async def test_without_a_netpoll_trio_waits() -> None:
    ours, theirs = pair_with(None)
    async with trio.open_nursery() as nursery:
        told: list[bytes | str] = []
        nursery.start_soon(read_into, ours, told)
        await trio.testing.wait_all_tasks_blocked()
        await theirs.send(b"one")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == [b"one"]
        nursery.start_soon(read_into, ours, told)
        await trio.testing.wait_all_tasks_blocked()
        ours.close()
    assert told == [b"one", "closed"]
    theirs.close()


async def test_many_are_served_in_turns_and_all_of_them() -> None:
    async with polling() as netpoll, trio.open_nursery() as nursery:
        pairs = [pair_with(netpoll) for _ in range(300)]
        told: list[bytes | str] = []
        for ours, _ in pairs:
            nursery.start_soon(read_into, ours, told)
        await trio.testing.wait_all_tasks_blocked()
        for _, theirs in pairs:
            await theirs.send(b"x")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == [b"x"] * 300
        for ours, theirs in pairs:
            ours.close()
            theirs.close()


async def test_a_broken_connection_is_told() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    async with polling() as netpoll:
        connected = trio.socket.socket()
        await connected.connect(listener.getsockname())
        theirs, _ = listener.accept()
        ours = PolledSocket(connected, netpoll)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_expect_reset, ours)
            await trio.testing.wait_all_tasks_blocked()
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            theirs.close()
        ours.close()
    listener.close()


async def _expect_reset(polled: PolledSocket) -> None:
    with pytest.raises(ConnectionResetError):
        await polled.read()


async def _send_all(connected: trio.socket.SocketType, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[await connected.send(rest) :]


@pytest.mark.parametrize("ends", [False, True])
async def test_what_nobody_asked_for_is_seen_once_trio_has_waited(ends: bool) -> None:
    async with polling() as netpoll:
        ours, theirs = pair_with(netpoll)
        await theirs.send(b"asked for")
        assert await ours.read() == b"asked for"
        assert not ours.has_input()
        if ends:
            theirs.close()
        else:
            await theirs.send(b"xy")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert ours.has_input()
        ours.close()
        theirs.close()


@pytest.mark.parametrize("ends", [False, True])
async def test_without_a_netpoll_it_is_seen_at_once(ends: bool) -> None:
    ours, theirs = pair_with(None)
    assert not ours.has_input()
    if ends:
        theirs.close()
    else:
        await theirs.send(b"xy")
    assert ours.has_input()
    ours.close()
    theirs.close()


async def test_news_of_what_was_read_already_are_no_input() -> None:
    async with one_waits() as (_, ours, theirs, told):
        os.write(theirs.fileno(), b"first")  # without letting the reader run
        assert ours.read_now() == b"first"
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert (told, ours.has_input()) == ([], False)
        await theirs.send(b"second")
        await trio.testing.wait_all_tasks_blocked(0.01)
        assert told == [b"second"]
        assert not ours.has_input()

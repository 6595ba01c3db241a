"""What trio sleeps on is found by what lies in it."""

import select
import socket
from pathlib import Path

import trio
import trio.testing

from router.watcher import trios_epoll


async def test_what_is_found_shows_that_something_would_wake_trio() -> None:
    number = await trios_epoll()
    assert number is not None
    ours, theirs = socket.socketpair()
    with ours, theirs, select.epoll() as outer:
        outer.register(number, select.EPOLLIN)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.wait_readable, ours)
            await trio.testing.wait_all_tasks_blocked()
            assert outer.poll(0) == []
            theirs.send(b"news")
            assert outer.poll(0) == [(number, select.EPOLLIN)]


async def test_nothing_is_left_in_it_that_could_wake_anybody() -> None:
    number = await trios_epoll()
    assert number is not None
    with select.epoll() as outer:
        outer.register(number, select.EPOLLIN)
        for _ in range(3):
            assert await trios_epoll() == number
        assert outer.poll(0) == []


async def test_where_the_kernel_tells_nothing_none_is_found(tmp_path: Path) -> None:
    (tmp_path / "3").write_text("pos:\t0\nflags:\t02000002\n")
    assert await trios_epoll(tmp_path) is None
    assert await trios_epoll(tmp_path / "missing") is None

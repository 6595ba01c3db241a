"""A stream that drops a peer which stops reading, over a peer that reads as slowly as a test wants."""

import socket
from typing import cast

import pytest
import trio
from trio.testing import MockClock

from router.front.deadline import WriteDeadlineStream

KIB = 1024


class FakeSocket:
    """The few calls that ending a connection makes."""

    def __init__(self) -> None:
        self.closed = 0
        self.lingers: bytes | None = None

    def fileno(self) -> int:
        return -1 if self.closed else 7

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER)
        self.lingers = value

    def close(self) -> None:
        self.closed += 1


class SlowPeer:
    """A socket stream whose peer takes `bytes_per_second` of what is sent."""

    def __init__(self, bytes_per_second: float) -> None:
        self.socket = FakeSocket()
        self.taken = b""
        self.ended = False
        self._pace = bytes_per_second

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        if len(data):
            await trio.sleep(len(data) / self._pace if self._pace else float("inf"))
        self.taken += bytes(data)

    async def wait_send_all_might_not_block(self) -> None:
        await trio.sleep(1)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return b"x" * (max_bytes or 3)

    async def send_eof(self) -> None:
        self.ended = True

    async def aclose(self) -> None:
        self.socket.close()


def deadline_over(peer: SlowPeer, *, seconds: float = 30.0) -> WriteDeadlineStream:
    return WriteDeadlineStream(cast("trio.SocketStream", peer), seconds=seconds)


@pytest.mark.parametrize("size", [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 300 * KIB])
async def test_all_bytes_arrive_in_order(size: int, autojump_clock: MockClock) -> None:
    data = bytes(number % 251 for number in range(size))
    for given in (data, bytearray(data), memoryview(data)):
        peer = SlowPeer(1e9)
        await deadline_over(peer).send_all(given)
        assert peer.taken == data
        assert peer.socket.closed == 0


async def test_a_slow_steady_reader_may_take_as_long_as_it_likes(autojump_clock: MockClock) -> None:
    peer = SlowPeer(64 * KIB / 29.0)
    start = trio.current_time()
    await deadline_over(peer).send_all(bytes(10 * 64 * KIB))
    assert trio.current_time() - start == pytest.approx(290.0)
    assert peer.socket.closed == 0


@pytest.mark.parametrize("pace", [0.0, 64 * KIB / 31.0])
async def test_a_peer_that_makes_no_progress_is_dropped_at_the_deadline(
    pace: float, autojump_clock: MockClock
) -> None:
    peer = SlowPeer(pace)
    start = trio.current_time()
    with pytest.raises(trio.BrokenResourceError):
        await deadline_over(peer).send_all(bytes(10 * 64 * KIB))
    assert trio.current_time() - start == pytest.approx(30.0)
    assert peer.socket.closed == 1


async def test_a_dropped_peer_sees_a_reset(autojump_clock: MockClock) -> None:
    peer = SlowPeer(0)
    with pytest.raises(trio.BrokenResourceError):
        await deadline_over(peer).send_all(b"x")
    assert peer.socket.lingers == b"\x01\0\0\0\0\0\0\0"


async def test_the_deadline_lies_inside_a_shield(autojump_clock: MockClock) -> None:
    peer = SlowPeer(0)
    with (
        trio.move_on_after(5),
        trio.CancelScope(shield=True),
        pytest.raises(trio.BrokenResourceError),
    ):
        await deadline_over(peer).send_all(b"x")
    assert trio.current_time() == pytest.approx(30.0)


async def test_a_cancelled_write_does_not_drop_the_peer(autojump_clock: MockClock) -> None:
    peer = SlowPeer(1)
    with trio.move_on_after(5) as scope:
        await deadline_over(peer).send_all(b"x" * 20)
    assert scope.cancelled_caught
    assert peer.socket.closed == 0


async def test_aborting_twice_or_after_closing_does_no_harm() -> None:
    peer = SlowPeer(1)
    stream = deadline_over(peer)
    stream.abort()
    stream.abort()
    assert peer.socket.closed == 1
    closed = SlowPeer(1)
    stream = deadline_over(closed)
    await stream.aclose()
    stream.abort()
    assert closed.socket.closed == 1
    assert closed.socket.lingers is None


async def test_everything_but_writing_is_the_streams_own(autojump_clock: MockClock) -> None:
    peer = SlowPeer(1)
    stream = deadline_over(peer)
    assert await stream.receive_some(2) == b"xx"
    assert await stream.receive_some() == b"xxx"
    await stream.wait_send_all_might_not_block()
    assert trio.current_time() == 1
    await stream.send_eof()
    assert peer.ended

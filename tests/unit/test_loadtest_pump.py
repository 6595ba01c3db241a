"""The pump over real socket pairs: many sockets, one reader, and errors where they belong."""

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from router.loadtest.pump import READ_BYTES, Pump, SocketWire, open_pump
from router.loadtest.target import Target

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    made = [socket.socketpair() for _ in range(3)]
    for ours, _ in made:
        ours.settimeout(0)
    yield made
    for ours, theirs in made:
        ours.close()
        theirs.close()


class Collected:
    """A taker that is content with so many bytes, or with the end."""

    def __init__(self, wanted: int) -> None:
        self.data = b""
        self.ended = False
        self._wanted = wanted

    def take(self, data: bytes) -> bool:
        self.data += data
        self.ended = not data
        return self.ended or len(self.data) >= self._wanted


async def receive(wire: SocketWire, wanted: int) -> Collected:
    collected = Collected(wanted)
    with trio.fail_after(5):
        await wire.receive(collected.take)
    return collected


@pytest.mark.parametrize("rest", [0.0, 0.001])
async def test_each_taker_gets_the_bytes_of_its_own_socket(pairs: list[Pair], rest: float) -> None:
    found: dict[int, bytes] = {}

    async def read(number: int, wire: SocketWire) -> None:
        found[number] = (await receive(wire, 6)).data

    async with open_pump(rest=rest) as pump, trio.open_nursery() as nursery:
        for number, (ours, _) in enumerate(pairs):
            nursery.start_soon(read, number, SocketWire(ours, pump))
        for half in (b"abc", b"def"):
            await trio.testing.wait_all_tasks_blocked()
            for number, (_, theirs) in enumerate(pairs):
                theirs.sendall(half.replace(b"a", b"%d" % number))
    assert found == {0: b"0bcdef", 1: b"1bcdef", 2: b"2bcdef"}


async def test_a_socket_can_be_read_again_and_shows_its_end(pairs: list[Pair]) -> None:
    ours, theirs = pairs[0]
    async with open_pump() as pump:
        wire = SocketWire(ours, pump)
        theirs.sendall(b"one")
        assert (await receive(wire, 3)).data == b"one"
        theirs.sendall(b"two")
        theirs.close()
        last = await receive(wire, 100)
    assert (last.data, last.ended) == (b"two", True)


async def test_what_a_taker_raises_reaches_its_own_task_and_no_other(pairs: list[Pair]) -> None:
    def refuse(data: bytes) -> bool:
        raise ValueError(data.decode())

    async with open_pump() as pump, trio.open_nursery() as nursery:
        other = Collected(2)
        nursery.start_soon(SocketWire(pairs[1][0], pump).receive, other.take)
        pairs[0][1].sendall(b"bad")
        with pytest.raises(ValueError, match="bad"), trio.fail_after(5):
            await SocketWire(pairs[0][0], pump).receive(refuse)
        pairs[1][1].sendall(b"ok")
    assert other.data == b"ok"


async def test_a_cancelled_reader_leaves_the_socket_as_it_is(pairs: list[Pair]) -> None:
    ours, theirs = pairs[0]
    async with open_pump() as pump:
        wire = SocketWire(ours, pump)
        with trio.CancelScope() as scope:
            scope.cancel()
            await wire.receive(Collected(1).take)
        assert scope.cancelled_caught
        theirs.sendall(b"x")
        assert (await receive(wire, 1)).data == b"x"


async def test_more_than_a_socket_takes_is_sent_in_the_end(pairs: list[Pair]) -> None:
    ours, theirs = pairs[0]
    theirs.settimeout(0)
    data = bytes(range(256)) * 8192
    async with open_pump() as pump, trio.open_nursery() as nursery:
        nursery.start_soon(SocketWire(ours, pump).send, data)
        received = await receive(SocketWire(theirs, pump), len(data))
    assert len(data) > READ_BYTES
    assert received.data == data


async def test_a_dialled_wire_talks_to_the_target_and_closes_at_once() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    async with listener, open_pump() as pump:
        wire = await pump.dialer(Target("127.0.0.1", port, "/v1", "unused", "any"))()
        async with await listener.accept() as accepted:
            await wire.send(b"hello")
            assert await accepted.receive_some() == b"hello"
            wire.close()
            assert await accepted.receive_some() == b""


async def test_a_dial_to_nobody_raises() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        target = Target("127.0.0.1", unheard.getsockname()[1], "/v1", "unused", "any")
        with pytest.raises(OSError, match="refused"):
            await Pump(0.0).dialer(target)()

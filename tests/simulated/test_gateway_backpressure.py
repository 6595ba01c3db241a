"""A client that does not take what it asked for makes the gateway stop reading: memory stays bounded (I8).

Upstream connections here hand bytes over only as fast as they are read, so that what the provider could
write is what the gateway has taken.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from tests.simulated.world import Client, World, chat_fields, in_virtual_time, open_world

CHAT = "/v1/chat/completions"
HUGE = {"tokens": 200_000, "gap": 0}


class CountedStream(trio.abc.Stream):
    """A provider's end of a connection that counts what it could write."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self.written_bytes = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)
        self.written_bytes += len(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        return await self._stream.receive_some(max_bytes)

    async def aclose(self) -> None:
        await self._stream.aclose()


class StoppingClient(Client):
    """Takes so many messages and then no more, until `reading` is set."""

    def __init__(self, body: bytes, *, takes: int) -> None:
        super().__init__(body)
        self._takes = takes

    async def send(self, message: Mapping[str, Any]) -> None:
        if self._takes == 0:
            self.reading = trio.Event()
        self._takes -= 1
        await super().send(message)


async def pour(stream: trio.abc.Stream, data: bytes) -> None:
    while True:
        await stream.send_all(data)


def count_writes(world: World) -> list[CountedStream]:
    """Give the world upstream connections without any buffer; returns those that are made."""
    made: list[CountedStream] = []

    def pair() -> tuple[trio.abc.Stream, trio.abc.Stream]:
        ours, theirs = trio.testing.lockstep_stream_pair()
        made.append(CountedStream(theirs))
        return ours, made[-1]

    world.pair = pair
    return made


@pytest.mark.parametrize(
    "form", [{}, {"coalesce": 100}, {"gzip": True}, {"body_split": 9}], ids=str
)
@pytest.mark.parametrize("takes", [0, 1, 2, 50])
def test_i8_a_client_that_stops_reading_stops_the_reading_upstream(
    takes: int, form: dict[str, Any]
) -> None:
    async def scenario() -> None:
        async with open_world() as world:
            streams = count_writes(world)
            body = msgspec.json.encode(chat_fields(stream=True, simulate={**HUGE, **form}))
            client = StoppingClient(body, takes=takes)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(1)
                taken = streams[0].written_bytes
                await trio.sleep(500)
                assert streams[0].written_bytes == taken
                assert len(client.answer.pieces) <= takes
                assert taken < 64 * 1024 + 2 * len(client.answer.body)
                client.leave()
                await trio.testing.wait_all_tasks_blocked()
                client.reading.set()
            await world.leak_check()

    in_virtual_time(scenario)


def test_i8_a_client_that_reads_on_after_a_pause_gets_everything() -> None:
    async def scenario() -> None:
        async with open_world() as world:
            count_writes(world)
            whole = await world.chat(stream=True, simulate={"tokens": 500, "gap": 0})
            body = msgspec.json.encode(chat_fields(stream=True, simulate={"tokens": 500, "gap": 0}))
            client = StoppingClient(body, takes=100)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(100)
                assert not client.answer.finished
                client.reading.set()
            assert client.answer.text() == whole.text()
            assert client.answer.events()[-1] == b"[DONE]"
            await world.leak_check()

    in_virtual_time(scenario)


def test_i8_an_upstream_that_never_says_anything_meaningful_is_not_read_without_end() -> None:
    """Events that commit nothing are held back only so far; then the stream goes out as it is."""

    async def babble(stream: trio.abc.Stream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            event = b'data: {"note":"' + b"x" * 10_000 + b'"}\n\n'
            with pytest.raises(trio.BrokenResourceError):
                await pour(stream, event)

    async def scenario() -> None:
        async with open_world() as world:
            streams = count_writes(world)
            world.serve_upstream = babble
            client = StoppingClient(msgspec.json.encode(chat_fields(stream=True)), takes=0)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(world.run, client, CHAT)
                await trio.sleep(10)
                assert 1024 * 1024 < streams[0].written_bytes < 1.2 * 1024 * 1024
                client.leave()
                await trio.testing.wait_all_tasks_blocked()
                client.reading.set()
            await world.leak_check()

    in_virtual_time(scenario)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_i8_an_error_body_without_end_is_read_only_so_far(stream: bool) -> None:
    async def rage(connection: trio.abc.Stream) -> None:
        async with connection:
            await connection.receive_some()
            await connection.send_all(b"HTTP/1.1 500 No\r\ncontent-type: application/json\r\n\r\n")
            with pytest.raises(trio.BrokenResourceError):
                await pour(connection, b"x" * 100_000)

    async def scenario() -> None:
        async with open_world() as world:
            streams = count_writes(world)
            world.serve_upstream = rage
            answer = await world.chat(stream=stream)
            assert answer.status == 503
            assert answer.json()["error"]["code"] == "upstream_overloaded"
            assert len(streams) == 2  # alone, so it was asked once more
            assert all(one.written_bytes < 1.3 * 1024 * 1024 for one in streams)
            await world.leak_check()

    in_virtual_time(scenario)


def test_i8_a_whole_answer_without_end_is_read_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.exchange.attempt.MAX_ANSWER_BYTES", 500_000)

    async def flood(connection: trio.abc.Stream) -> None:
        async with connection:
            await connection.receive_some()
            await connection.send_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n")
            with pytest.raises(trio.BrokenResourceError):
                await pour(connection, b" " * 100_000)

    async def scenario() -> None:
        async with open_world() as world:
            streams = count_writes(world)
            world.serve_upstream = flood
            answer = await world.chat()
            assert answer.json()["error"]["code"] == "upstream_invalid_response"
            assert "not usable" in answer.json()["error"]["message"]
            assert len(streams) == 2  # alone, so it was asked once more
            assert all(one.written_bytes <= 600_000 for one in streams)
            await world.leak_check()

    in_virtual_time(scenario)

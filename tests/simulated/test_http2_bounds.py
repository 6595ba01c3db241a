"""What a client of HTTP/2 can cost: bounded memory, bounded time, and bounded work for nothing (I8)."""

from typing import Any

import h2.errors
import h2.settings
import pytest
import trio

from router.front.http2.connection import MOST_STREAMS
from router.front.http2.output import CHOKED_BYTES, FULL_BYTES
from router.front.http2.patience import MOST_AT_ONCE, PER_SECOND
from tests.simulated.doors import Doors
from tests.simulated.http2_client import Answer, Http2Client, client_of, speaking
from tests.simulated.served import (
    Flood,
    Messages,
    Send,
    Served,
    body,
    head,
    hello,
    on_real_sockets,
    read_to_the_end,
    server_tls,
    serving,
    tls_stream,
)

CANCEL = int(h2.errors.ErrorCodes.CANCEL)
REFUSED = int(h2.errors.ErrorCodes.REFUSED_STREAM)
CALM = int(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
PIECE_BYTES = 64 * 1024  # of `Flood`
FIRST_WINDOW_BYTES = 65_535
WRITE_SECONDS = 30.0

# Clients that do not let a stream send


class Mixed:
    """A flood for who asks for "/flood", and the doors for everyone else."""

    def __init__(self) -> None:
        self.flood = Flood()
        self.doors = Doors()

    async def __call__(self, scope: dict[str, Any], receive: Messages, send: Send) -> None:
        app = self.flood if scope["path"] == "/flood" else self.doors
        await app(scope, receive, send)


def test_i8_a_stream_whose_window_stays_shut_is_reset_at_the_write_limit_and_others_go_on() -> None:
    async def scenario() -> None:
        app = Mixed()
        async with (
            serving(app, write_seconds=WRITE_SECONDS) as served,
            client_of(served, stingy=True, window_bytes=10_000) as client,
        ):
            flood = await client.ask("/flood")
            await client.until(lambda: len(flood.body) == 10_000)
            slow = await client.ask("/slow")
            await client.until(lambda: slow.over)
            assert (slow.body, slow.whole) == (b"0123456789", True)
            await client.until(lambda: flood.over)
            assert (flood.reset, len(flood.body)) == (CANCEL, 10_000)
            assert flood.reset_at == pytest.approx(WRITE_SECONDS, abs=0.2)
            assert (await client.whole()).whole
            assert app.flood.gone_at == pytest.approx(WRITE_SECONDS, abs=0.2)
            # One piece is all that was held for it, and another was dropped when it was gone.
            assert app.flood.sent_bytes <= 2 * PIECE_BYTES

    on_real_sockets(scenario)


def test_i8_streams_are_reset_when_the_window_of_their_connection_stays_shut() -> None:
    async def scenario() -> None:
        app = Mixed()
        async with (
            serving(app, write_seconds=WRITE_SECONDS) as served,
            client_of(served, stingy=True, window_bytes=2**24) as client,
        ):
            floods = [await client.ask("/flood") for _ in range(3)]
            await client.until(lambda: all(flood.over for flood in floods))
            assert [flood.reset for flood in floods] == [CANCEL] * 3
            assert sum(len(flood.body) for flood in floods) == FIRST_WINDOW_BYTES
            assert trio.current_time() == pytest.approx(WRITE_SECONDS, abs=0.5)
            # What needs no window is served, and with a window everything is.
            assert (await client.whole(method="HEAD")).whole
            client.http.increment_flow_control_window(FIRST_WINDOW_BYTES)
            assert (await client.whole()).body == b"hello"

    on_real_sockets(scenario)


def test_i8_a_client_that_opens_its_window_late_gets_everything() -> None:
    content = bytes(range(256)) * 400

    async def send_much(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send(head())
        await send(body(content))

    async def scenario() -> None:
        async with (
            serving(send_much, write_seconds=WRITE_SECONDS) as served,
            client_of(served, stingy=True, window_bytes=0) as client,
        ):
            answers = [await client.ask() for _ in range(2)]
            while not all(answer.over for answer in answers):
                await trio.sleep(WRITE_SECONDS - 1)
                for number, answer in client.answers.items():
                    if not answer.over:
                        client.http.increment_flow_control_window(10_000, number)
                client.http.increment_flow_control_window(20_000)
                await client.flush()
            assert [answer.whole for answer in answers] == [True, True]
            assert [answer.body for answer in answers] == [content, content]

    on_real_sockets(scenario)


def test_i8_a_window_that_settings_open_counts() -> None:
    async def scenario() -> None:
        async with serving(hello) as served, client_of(served, window_bytes=0) as client:
            answer = await client.ask()
            await trio.sleep(5)
            assert (answer.status, answer.body) == (200, b"")
            client.http.update_settings(
                {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: FIRST_WINDOW_BYTES}
            )
            await client.flush()
            await client.until(lambda: answer.over)
            assert (answer.body, answer.whole) == (b"hello", True)

    on_real_sockets(scenario)


def test_i8_streams_take_turns_on_a_window_that_opens_little_by_little() -> None:
    async def scenario() -> None:
        async with (
            serving(Flood(), write_seconds=WRITE_SECONDS) as served,
            client_of(served, stingy=True, window_bytes=2**24) as client,
        ):
            floods = [await client.ask() for _ in range(4)]
            await trio.sleep(1)
            before = [len(flood.body) for flood in floods]
            for _ in range(20):
                client.http.increment_flow_control_window(5000)
                await client.flush()
                await trio.sleep(1)
            got = [len(flood.body) - had for flood, had in zip(floods, before, strict=True)]
            assert got == [pytest.approx(25_000, abs=5000)] * 4
            assert not any(flood.over for flood in floods)

    on_real_sockets(scenario)


def test_i8_streams_that_wait_for_a_slow_wire_wait_as_long_as_it_moves() -> None:
    content = bytes(80_000)

    async def send_much(_scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        await send(head())
        await send(body(content))

    async def scenario() -> None:
        async with serving(send_much, write_seconds=WRITE_SECONDS) as served:
            stream = await served.connect(receive_buffer_bytes=64 * 1024)
            slow = SlowStream(stream, seconds=10)
            async with speaking(slow, window_bytes=2**24) as client:
                client.http.increment_flow_control_window(2**30)
                answers = [await client.ask() for _ in range(100)]
                await client.until(lambda: all(answer.over for answer in answers))
                assert all(answer.whole for answer in answers)
                assert trio.current_time() > 4 * WRITE_SECONDS

    on_real_sockets(scenario)


class SlowStream(trio.abc.Stream):
    """A client's end of a slow wire: reads a little at a time, and waits in between."""

    def __init__(self, stream: trio.SocketStream, *, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        await trio.sleep(self._seconds)
        return await self._stream.receive_some(200_000)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


# Clients that take nothing at all


async def deaf_asker(served: Served, *, tls: bool) -> Http2Client:
    """A client with wide windows that asks and then reads nothing."""
    stream: trio.abc.Stream
    if tls:
        stream = await tls_stream(served, receive_buffer_bytes=4096)
    else:
        stream = await served.connect(receive_buffer_bytes=4096)
    client = Http2Client(stream, window_bytes=2**30)
    client.http.increment_flow_control_window(2**30)
    await client.ask()
    await client.ask()
    return client


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_i8_a_connection_that_takes_nothing_is_dropped_at_the_write_limit(tls: bool) -> None:
    async def scenario() -> None:
        flood = Flood()
        context = server_tls() if tls else None
        async with serving(flood, write_seconds=WRITE_SECONDS, ssl_context=context) as served:
            await deaf_asker(served, tls=tls)
            await trio.sleep(1)
            sent, stuck_at = -1, 0.0
            while flood.gone_at is None:
                if flood.sent_bytes != sent:  # the system's buffers are not full yet
                    sent, stuck_at = flood.sent_bytes, trio.current_time()
                await trio.sleep(1)
            assert flood.gone_at == pytest.approx(stuck_at + WRITE_SECONDS, abs=2)
            await served.wait_empty()

    on_real_sockets(scenario)


def test_i8_a_client_that_asks_much_and_reads_nothing_is_not_read_either() -> None:
    async def scenario() -> None:
        async with serving(hello, write_seconds=WRITE_SECONDS) as served:
            stream = await served.connect(receive_buffer_bytes=4096)
            client = Http2Client(stream)
            await client.flush()
            with pytest.raises(trio.BrokenResourceError):
                await ask_for_refusals(client)
            assert trio.current_time() == pytest.approx(WRITE_SECONDS, abs=1)
            await served.wait_empty()

    on_real_sockets(scenario)


async def ask_for_refusals(client: Http2Client) -> None:
    """Ask without end for answers that nobody reads."""
    fields = [(":method", "BREW"), (":scheme", "http"), (":authority", "x"), (":path", "/")]
    while True:
        number = client.http.get_next_available_stream_id()
        client.http.send_headers(number, fields, end_stream=True)
        client.http.streams.pop(number)  # h2 would not open so many
        await client.flush()


# Work for nothing


def test_requests_beyond_the_limit_of_streams_break_the_protocol() -> None:
    async def scenario() -> None:
        doors = Doors()
        async with serving(doors) as served, client_of(served) as client:
            client.http.remote_settings.acknowledge()
            for _ in range(MOST_STREAMS):
                await client.ask("/wait")
            await trio.sleep(1)
            assert doors.running == MOST_STREAMS
            client.http.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
            client.http.remote_settings.acknowledge()
            await client.ask("/wait")
            await client.until(lambda: client.closed_at is not None)
            assert doors.running == 0

    on_real_sockets(scenario)


class Stubborn:
    """An application that does not hear its client leave, and ends after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.running = 0
        self.most = 0
        self.begun = 0

    async def __call__(self, _scope: dict[str, Any], _receive: Messages, send: Send) -> None:
        self.running += 1
        self.begun += 1
        self.most = max(self.most, self.running)
        try:
            await trio.sleep(self.seconds)
        finally:
            self.running -= 1
        await send(head())
        await send(body(b"hello"))


def test_reset_streams_count_until_their_requests_have_ended() -> None:
    async def scenario() -> None:
        app = Stubborn(10)
        async with serving(app) as served, client_of(served) as client:
            await reset_quickly(client, 2 * MOST_STREAMS)
            await trio.sleep(1)
            assert (app.begun, app.running) == (MOST_STREAMS, MOST_STREAMS)
            refused = await client.ask()
            await client.until(lambda: refused.over)
            assert refused.reset == REFUSED
            await trio.sleep(10)
            assert (await client.whole()).body == b"hello"
            assert app.most == MOST_STREAMS

    on_real_sockets(scenario)


async def reset_quickly(client: Http2Client, times: int) -> None:
    for _ in range(times):
        number = client.http.get_next_available_stream_id()
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", "/")]
        client.http.send_headers(number, fields, end_stream=True)
        client.http.reset_stream(number)
        client.answers[number] = Answer()
        if number % 100 == 1:
            await client.flush()
            await trio.sleep(0.001)  # those that were reset have ended
    await client.flush()


def test_cve_2023_44487_rapid_resets_close_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        app = Stubborn(0)
        async with (
            serving(app) as served,
            client_of(served) as client,
        ):
            await reset_quickly(client, int(MOST_AT_ONCE) - 10)
            await trio.sleep(0.01)
            assert (await client.whole()).body == b"hello"
            assert not client.goaways
            await reset_quickly(client, 100)
            await client.until(lambda: client.closed_at is not None)
            ((_, code),) = client.goaways
            assert code == CALM
            async with client_of(served) as another:
                assert (await another.whole()).body == b"hello"
            assert app.most <= MOST_STREAMS

    on_real_sockets(scenario)
    (record,) = caplog.records
    assert "127.0.0.1" in record.message


def test_who_resets_at_a_human_pace_is_served_for_ever() -> None:
    async def scenario() -> None:
        async with serving(Stubborn(1)) as served, client_of(served) as client:
            for _ in range(40):
                await reset_quickly(client, int(PER_SECOND) - 3)
                await trio.sleep(1)
            assert (await client.whole()).body == b"hello"

    on_real_sockets(scenario)


def ping(client: Http2Client) -> None:
    client.http.ping(b"12345678")


def change_settings(client: Http2Client) -> None:
    client.http.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000})


def send_nothing(client: Http2Client) -> None:
    client.http.send_data(1, b"")


@pytest.mark.parametrize("frame", [ping, change_settings, send_nothing])
def test_other_frames_that_ask_for_nothing_are_bounded_as_well(frame: Any) -> None:
    async def scenario() -> None:
        async with serving(Doors()) as served, client_of(served) as client:
            await client.ask("/echo", method="POST", end=False)
            for _ in range(int(MOST_AT_ONCE) // 2):
                frame(client)
            await client.flush()
            assert (await client.whole()).body == b"hello"
            for _ in range(int(MOST_AT_ONCE)):
                frame(client)
            await client.flush()
            await client.until(lambda: client.closed_at is not None)
            assert client.goaways[-1][1] == CALM

    on_real_sockets(scenario)


def test_the_bounds_are_in_order() -> None:
    assert PIECE_BYTES <= FULL_BYTES < CHOKED_BYTES


# Time


def test_a_connection_that_asks_nothing_is_closed_with_a_word() -> None:
    async def scenario() -> None:
        async with serving(Doors(), keep_alive_seconds=40.0) as served, client_of(served) as client:
            await trio.sleep(20)
            ping(client)  # is no request
            await client.flush()
            await client.until(lambda: client.closed_at is not None)
            assert client.closed_at == pytest.approx(40, abs=0.2)
            assert client.goaways == [(0, 0)]
            await served.wait_empty()

    on_real_sockets(scenario)


def test_the_time_to_ask_begins_again_with_the_end_of_the_last_answer() -> None:
    async def scenario() -> None:
        async with serving(Doors(), keep_alive_seconds=5.0) as served, client_of(served) as client:
            await client.whole()
            slow = await client.ask("/slow")
            await client.until(lambda: slow.whole)
            await client.until(lambda: client.closed_at is not None)
            assert client.closed_at == pytest.approx(15, abs=0.2)
            assert client.goaways == [(3, 0)]

    on_real_sockets(scenario)


@pytest.mark.parametrize("sent_bytes", [0, 10, 20, 30, 60])
def test_a_beginning_that_does_not_go_on_is_closed(sent_bytes: int) -> None:
    async def scenario() -> None:
        async with serving(hello, keep_alive_seconds=40.0) as served:
            stream = await served.connect()
            await stream.send_all(Http2Client(stream).http.data_to_send()[:sent_bytes])
            await read_to_the_end(stream)
            assert trio.current_time() == pytest.approx(40, abs=0.2)
            await served.wait_empty()

    on_real_sockets(scenario)

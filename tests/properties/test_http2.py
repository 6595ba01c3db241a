"""Whatever frames a client sends: no fault of ours, no answer that lies about its end, no byte too many."""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import hpack
import trio
import trio.testing
from hypercorn.typing import ASGIFramework
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from hypothesis import given
from hypothesis import strategies as st

from router.front.http1.asgi_calls import Ends
from router.front.http1.date import DateHeader
from router.front.http2.connection import Http2Connection, Shared
from tests.simulated.served import Messages, Send, body, head, until_gone

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
BIG_BYTES = 80_000
FIRST_WINDOW = 65_535
PATHS = ["/echo", "/half", "/big", "/wait", "/early", "/big"]
ENDS = Ends("http", ("127.0.0.1", 1), ("127.0.0.1", 2))


class Step(NamedTuple):
    """Something that the client does: to the stream with this index, as far as it concerns one."""

    what: str
    nth: int = 0
    amount: int = 0
    ends: bool = True


def steps(
    *what: str, amounts: Sequence[int] = (0,), ends: Sequence[bool] = (True,)
) -> st.SearchStrategy[Step]:
    return st.builds(
        Step,
        what=st.sampled_from(what),
        nth=st.integers(0, 5),
        amount=st.sampled_from(amounts),
        ends=st.sampled_from(ends),
    )


SOUND = st.one_of(
    steps("ask", ends=[True, True, False]),
    steps("ask"),
    steps("body", amounts=[0, 1, 16_000], ends=[True, False]),
    steps("window", amounts=[1, 20_000, 200_000]),
    steps("whole window", amounts=[1, 500_000]),
    steps("settings", amounts=[0, 100, 65_535, 200_000]),
    steps("wait", amounts=[0, 1, 20, 40]),
    steps("reset", "ping", "stick", "loosen"),
)
SPOILT = st.one_of(
    steps("goaway", "break", "trailers", "trailing body"),
    steps("junk", amounts=[1, 10, 40]),
    steps("window", "whole window", amounts=[2**31 - 1]),
)
STEPS = st.tuples(
    st.lists(SOUND, min_size=3, max_size=25),
    st.lists(SPOILT, max_size=1),
    st.lists(SOUND, max_size=5),
).map(lambda parts: [*parts[0], *parts[1], *parts[2]])


class Paths:
    """An application with a few behaviours."""

    def __init__(self) -> None:
        self.running = 0

    async def __call__(self, scope: dict[str, Any], receive: Messages, send: Send) -> None:
        self.running += 1
        try:
            content = b"" if scope["path"] == "/early" else await self._read(receive)
            if content is None:
                return
            await send(head())
            match scope["path"]:
                case "/echo":
                    await send(body(content))
                case "/half":
                    await send(body(b"half", more=True))
                case "/big":
                    for start in range(0, BIG_BYTES, 40_000):
                        more = start + 40_000 < BIG_BYTES
                        await send(body(bytes(40_000), more=more))
                case "/wait":
                    await until_gone(receive, trio.CancelScope())
                case _:
                    await send(body(b"early"))
        finally:
            self.running -= 1

    async def _read(self, receive: Messages) -> bytes | None:
        content = b""
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return None
            content += message["body"]
            more = message["more_body"]
        return content


class MemoryWire:
    """A wire in memory, which may be `stuck` for a second at a time, or break."""

    is_plain = True

    def __init__(self) -> None:
        self.client, self._received = trio.open_memory_channel[bytes](1000)
        self.written = b""
        self.stuck = False
        self.broken = False

    async def receive(self) -> bytes:
        try:
            return await self._received.receive()
        except (trio.EndOfChannel, trio.ClosedResourceError):
            return b""

    read = receive

    def write_now(self, data: bytes) -> bool:
        self.written += data
        return not self.stuck

    write_soon = write_now

    async def flush(self) -> None:
        await trio.sleep(1)
        if self.broken:
            self.abort()
            raise trio.BrokenResourceError

    def abort(self) -> None:
        self._received.close()

    async def close(self, *, linger: bool) -> None:
        self._received.close()


class ChaoticClient:
    """Turns steps into bytes, and remembers what it has allowed."""

    def __init__(self, wire: MemoryWire) -> None:
        self._wire = wire
        self._hpack = hpack.Encoder()
        self._bytes = PREFACE + SettingsFrame(0).serialize()
        self.paths: dict[int, str] = {}
        self.sent: dict[int, int] = defaultdict(int)
        self.allowed: dict[int, int] = defaultdict(int)
        self.widest = FIRST_WINDOW
        self._open: set[int] = set()

    async def play(self, played: Sequence[Step]) -> None:
        for step in played:
            self._bytes += self._frame(step)
            if step.what == "wait":
                await self._send()
                await trio.sleep(step.amount)
            elif step.what in {"stick", "loosen", "break"}:
                await self._send()
                self._wire.stuck = step.what != "loosen"
                self._wire.broken = step.what == "break"
        await self._send()
        await trio.sleep(100)
        self._wire.client.close()

    async def _send(self) -> None:
        data, self._bytes = self._bytes, b""
        try:
            await self._wire.client.send(data or b"")
        except trio.BrokenResourceError:
            return

    def _frame(self, step: Step) -> bytes:
        number = 2 * (step.nth % max(1, len(self.paths))) + 1
        makers: dict[str, Callable[[], bytes]] = {
            "ask": lambda: self._request(step),
            "body": lambda: self._body(number, step) if number in self._open else b"",
            "trailing body": lambda: self._body(number, step),
            "trailers": lambda: self._head(number, [("x", "y")], ends=True),
            "reset": lambda: self._reset(number),
            "window": lambda: self._window(number, step.amount),
            "whole window": lambda: self._window(0, step.amount),
            "settings": lambda: self._settings(step.amount),
            "ping": lambda: PingFrame(0, opaque_data=b"12345678").serialize(),
            "goaway": lambda: GoAwayFrame(0).serialize(),
            "junk": lambda: bytes(range(step.amount)),
        }
        return makers[step.what]() if step.what in makers else b""

    def _body(self, number: int, step: Step) -> bytes:
        self.sent[number] += step.amount
        if step.ends:
            self._open.discard(number)
        flags = ["END_STREAM"] if step.ends else []
        return DataFrame(number, bytes(step.amount), flags=flags).serialize()

    def _reset(self, number: int) -> bytes:
        self._open.discard(number)
        return RstStreamFrame(number, error_code=8).serialize()

    def _window(self, number: int, amount: int) -> bytes:
        self.allowed[number] += amount
        return WindowUpdateFrame(number, window_increment=amount).serialize()

    def _settings(self, window: int) -> bytes:
        self.widest = max(self.widest, window)
        return SettingsFrame(0, settings={4: window}).serialize()

    def _head(self, number: int, fields: list[tuple[str, str]], *, ends: bool) -> bytes:
        flags = ["END_HEADERS", *(["END_STREAM"] if ends else [])]
        return HeadersFrame(number, self._hpack.encode(fields), flags=flags).serialize()

    def _request(self, step: Step) -> bytes:
        number = 2 * len(self.paths) + 1
        self.paths[number] = PATHS[step.nth]
        if not step.ends:
            self._open.add(number)
        fields = [(":method", "POST"), (":scheme", "http"), (":path", PATHS[step.nth])]
        more = [(":authority", "x"), ("expect", "100-continue")]
        return self._head(number, [*fields, *more], ends=step.ends)


def frames(data: bytes) -> Iterator[Frame]:
    """The frames in what the server has written; nothing else may be in it."""
    while data:
        frame, length = Frame.parse_frame_header(memoryview(data[:9]))
        frame.parse_body(memoryview(data[9 : 9 + length]))
        yield frame
        data = data[9 + length :]


def check(written: bytes, client: ChaoticClient) -> None:
    got: dict[int, int] = defaultdict(int)
    begun: set[int] = set()
    ended: set[int] = set()
    decoder = hpack.Decoder()
    for frame in frames(written):
        number = frame.stream_id
        if isinstance(frame, HeadersFrame):
            assert number not in ended
            status = int(dict(decoder.decode(frame.data, raw=True))[b":status"])
            if status >= 200:
                assert status == 200
                assert number not in begun
                begun.add(number)
        elif isinstance(frame, DataFrame):
            assert number in begun
            assert number not in ended
            got[number] += len(frame.data)
        if isinstance(frame, RstStreamFrame) or "END_STREAM" in frame.flags:
            if not isinstance(frame, RstStreamFrame):
                check_whole(client, number, got[number])
            ended.add(number)
    for number, size in got.items():
        assert size <= client.widest + client.allowed[number]
    assert sum(got.values()) <= FIRST_WINDOW + client.allowed[0]


def check_whole(client: ChaoticClient, number: int, size: int) -> None:
    """An answer that says it is whole is so."""
    path = client.paths[number]
    assert path in {"/echo", "/big", "/early"}
    if path == "/big":
        assert size == BIG_BYTES
    elif path == "/echo":
        assert size <= client.sent[number]


class Heard(logging.Handler):
    """What was logged as a fault."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.faults: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.faults.append(record)


async def play(played: Sequence[Step], app: Paths) -> tuple[MemoryWire, ChaoticClient]:
    wire = MemoryWire()
    client = ChaoticClient(wire)
    shared = Shared(cast("ASGIFramework", app), DateHeader(lambda: 0), 75.0, 30.0)
    connection = Http2Connection(shared, wire, ENDS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.play, played)
        with trio.fail_after(2000):
            await connection.run(b"")
    return wire, client


@given(played=STEPS, chance=st.random_module())
def test_a_client_may_send_what_it_likes(played: list[Step], chance: object) -> None:
    app = Paths()
    heard = Heard()
    logger = logging.getLogger("router.front.http2.connection")
    logger.addHandler(heard)
    try:
        wire, client = trio.run(
            partial(play, played, app), clock=trio.testing.MockClock(autojump_threshold=0)
        )
    finally:
        logger.removeHandler(heard)
    assert not heard.faults
    assert app.running == 0
    check(wire.written, client)

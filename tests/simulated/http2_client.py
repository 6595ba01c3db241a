"""A client of HTTP/2 on h2, over any stream, that can be made to misbehave.

A task reads all the time, unless `deaf`, and gives every window back at once, unless `stingy`. Frames are fed
to h2 one at a time, and after GOAWAY it is told to go on: by itself it would refuse what follows.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import msgspec
import trio
from h2.connection import ConnectionState

from tests.simulated.served import Served

Fields = Sequence[tuple[str, str]]


class Answer:
    """What has come of one request. `reset` is the code of RST_STREAM, `ended_at` when END_STREAM came."""

    def __init__(self) -> None:
        self.informed: list[int] = []
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.ended_at: float | None = None
        self.reset: int | None = None
        self.reset_at: float | None = None

    @property
    def whole(self) -> bool:
        return self.ended_at is not None

    @property
    def over(self) -> bool:
        return self.whole or self.reset is not None

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def events(self) -> list[str]:
        return [
            block.removeprefix(b"data: ").decode()
            for block in self.body.split(b"\n\n")
            if block.startswith(b"data: ")
        ]


class Http2Client:
    """One connection, which it closes when the server does.

    `goaways` are the numbers and codes of GOAWAY; `closed_at` is the end of the input.
    """

    def __init__(
        self, stream: trio.abc.Stream, *, stingy: bool = False, window_bytes: int | None = None
    ) -> None:
        self.stream = stream
        self.answers: dict[int, Answer] = {}
        self.goaways: list[tuple[int, int]] = []
        self.pings = 0
        self.closed_at: float | None = None
        self._stingy = stingy
        self._sending = trio.Lock()
        self._news = trio.lowlevel.ParkingLot()
        # What a test sends may be wrong on purpose.
        self.http = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        if window_bytes is not None:
            self.http.local_settings = h2.settings.Settings(
                client=True,
                initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window_bytes},
            )
        self.http.initiate_connection()

    async def flush(self) -> None:
        async with self._sending:
            data = self.http.data_to_send()
            if data and self.closed_at is None:
                await self.stream.send_all(data)

    async def ask(
        self,
        path: str = "/",
        *,
        method: str = "GET",
        headers: Fields = (),
        fields: Any = None,
        end: bool = True,
    ) -> Answer:
        """Send a request, with `fields` as its JSON body, and return what will come of it."""
        number = self.http.get_next_available_stream_id()
        head = [(":method", method), (":scheme", "http"), (":authority", "x"), (":path", path)]
        self.http.send_headers(number, [*head, *headers], end_stream=end and fields is None)
        if fields is not None:
            self.http.send_data(number, msgspec.json.encode(fields), end_stream=end)
        self.answers[number] = Answer()
        await self.flush()
        return self.answers[number]

    def number(self, answer: Answer) -> int:
        return next(number for number, known in self.answers.items() if known is answer)

    async def send_body(self, answer: Answer, data: bytes, *, end: bool = True) -> None:
        """Send a body as its windows allow; stops when the stream is reset."""
        number = self.number(answer)
        while data and not answer.over:
            window = self.http.local_flow_control_window(number)
            size = min(window, self.http.max_outbound_frame_size, len(data))
            if size:
                self.http.send_data(number, data[:size], end_stream=end and size == len(data))
                data = data[size:]
                await self.flush()
            else:
                await self._news.park()

    async def reset(self, answer: Answer) -> None:
        self.http.reset_stream(self.number(answer), h2.errors.ErrorCodes.CANCEL)
        await self.flush()

    async def until(self, condition: Callable[[], object]) -> None:
        with trio.fail_after(1000):
            while not condition():
                await self._news.park()

    async def whole(self, path: str = "/", **request: Any) -> Answer:
        """Send a request and wait for its end, whatever that is."""
        answer = await self.ask(path, **request)
        await self.until(lambda: answer.over or self.closed_at is not None)
        return answer

    async def read(self) -> None:
        """Read to the end of the input, however that comes."""
        pending = b""
        try:
            async for data in self.stream:
                pending += bytes(data)
                while len(pending) >= 9 and len(pending) >= (size := 9 + _length(pending)):
                    for event in self.http.receive_data(pending[:size]):
                        self._take(event)
                    pending = pending[size:]
                await self.flush()
                self._news.unpark_all()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self.closed_at = trio.current_time()
        await trio.aclose_forcefully(self.stream)
        self._news.unpark_all()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ConnectionTerminated():
                self.goaways.append((event.last_stream_id or 0, int(event.error_code or 0)))
                self.http.state_machine.state = ConnectionState.CLIENT_OPEN
            case h2.events.PingAckReceived():
                self.pings += 1
            case (
                h2.events.ResponseReceived()
                | h2.events.InformationalResponseReceived()
                | h2.events.DataReceived()
                | h2.events.StreamEnded()
                | h2.events.StreamReset()
            ):
                self._take_of_answer(self.answers[event.stream_id], event)

    def _take_of_answer(self, answer: Answer, event: Any) -> None:
        match event:
            case h2.events.InformationalResponseReceived():
                answer.informed.append(int(_text(event.headers)[":status"]))
            case h2.events.ResponseReceived():
                answer.headers = _text(event.headers)
                answer.status = int(answer.headers.pop(":status"))
            case h2.events.DataReceived():
                answer.body += event.data
                if not self._stingy:
                    self.http.acknowledge_received_data(
                        event.flow_controlled_length, event.stream_id
                    )
            case h2.events.StreamEnded():
                answer.ended_at = trio.current_time()
            case h2.events.StreamReset():
                answer.reset = int(event.error_code)
                answer.reset_at = trio.current_time()


def _text(fields: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields}


def _length(frame: bytes) -> int:
    return int.from_bytes(frame[:3], "big")


@asynccontextmanager
async def speaking(
    stream: trio.abc.Stream, *, deaf: bool = False, **settings: Any
) -> AsyncIterator[Http2Client]:
    """A client on a stream, which reads for the length of the block unless it is deaf."""
    client = Http2Client(stream, **settings)
    async with trio.open_nursery() as nursery:
        await client.flush()
        if not deaf:
            nursery.start_soon(client.read)
        yield client
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def client_of(served: Served, **settings: Any) -> AsyncIterator[Http2Client]:
    """A client of a server under test, on a connection that begins with HTTP/2's preface."""
    receive_buffer_bytes = settings.pop("receive_buffer_bytes", None)
    stream = await served.connect(receive_buffer_bytes=receive_buffer_bytes)
    async with speaking(stream, **settings) as client:
        yield client

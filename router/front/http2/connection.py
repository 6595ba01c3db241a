"""One client's HTTP/2 connection: a task that reads, one that writes, and one for each request.

The reading task feeds h2 and tells the streams what concerns them, and never waits for a stream: what
comes for one is bounded by the windows that its application opens. It waits only for a client that asks for
more than it takes. What is read is fed in small slices, because a client may put thousands of frames
into one piece, and others are to be served in between.

The connection ends when the client goes, when it has asked nothing for the idle time, when it breaks the
protocol or tries the server's patience; and when the server ends: at once if nothing is running, else
after the last request. A client is told so (GOAWAY) only when its streams are over or half of the time for
that has passed, because there are clients, Python's h2 among them, that drop all their streams at that word.
"""

import contextlib
import logging
import math
from typing import Final, NamedTuple

import trio
from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings
from hypercorn.typing import ASGIFramework

from router.errors import GatewayBug, MalformedRequest
from router.front.failure import log_failure
from router.front.headers import new_request_id
from router.front.http1.asgi_calls import Ends
from router.front.http1.date import DateHeader
from router.front.http1.head import MAX_HEAD_BYTES
from router.front.http1.idle import FIRST_SECONDS
from router.front.http1.wire import LINGER_SECONDS, Wire
from router.front.http2.head import Header, scope_of
from router.front.http2.output import Output
from router.front.http2.patience import Patience
from router.front.http2.stream import Http2Stream

MOST_STREAMS: Final = 100
STREAM_WINDOW_BYTES: Final = 256 * 1024
CONNECTION_WINDOW_BYTES: Final = 1024 * 1024

_SLICE_BYTES: Final = 4096
_FIRST_WINDOW_BYTES: Final = 65_535  # as every connection begins (RFC 9113, section 6.9.2)
# GOAWAY with the highest number that a stream can have: what is on its way will be served, and nothing more
# should be asked (RFC 9113, section 6.8). h2 could send it too, but would send nothing after it.
_ASK_NO_MORE: Final = bytes.fromhex("000008 07 00 00000000 7fffffff 00000000")


# Of which a client may send only so many (`patience`). Priorities, which come with many requests and lead
# to nothing here, are not counted.
_USELESS: Final = (events.StreamReset, events.RemoteSettingsChanged, events.PingReceived)


class _Http(H2Connection):
    """h2, remembering fewer of the streams that are over."""

    MAX_CLOSED_STREAMS = 1000


class Shared(NamedTuple):
    """What all connections of a server have in common."""

    app: ASGIFramework
    date: DateHeader
    keep_alive_seconds: float
    write_seconds: float


class Http2Connection:
    """A connection on `wire`. It is made and run when the client is known to speak HTTP/2."""

    def __init__(self, shared: Shared, wire: Wire, ends: Ends) -> None:
        self._shared = shared
        self._wire = wire
        self._ends = ends
        self._http = _new_http()
        self._output = Output(self._http, wire, write_seconds=shared.write_seconds)
        self._streams: dict[int, Http2Stream] = {}
        self._made_at = trio.current_time()
        self._patience = Patience(self._made_at)
        self._reading = trio.CancelScope()
        self._read_until = math.inf
        self._was_asked = False
        self._is_ending = False
        self._is_over = False
        self._was_broken = False
        self._answered_at = -math.inf  # the last request
        self._serving: trio.Nursery

    async def run(self, read: bytes) -> None:
        """Serve until the connection is closed; `read` is what was read from it already.

        Cancelled, it resets the connection, so that no answer looks whole that is not.
        """
        try:
            async with trio.open_nursery() as writing:
                writing.start_soon(self._output.run)
                self._rest()
                self._output.go()
                async with trio.open_nursery() as self._serving:
                    await self._read(read)
                    self._is_over = True
                    for stream in self._streams.values():
                        stream.leave()
                await self._output.until_written()
                writing.cancel_scope.cancel()
        except BaseException:
            self._wire.abort()
            raise
        await self._wire.close(linger=self._may_be_sending())

    def end(self) -> None:
        """Close as soon as nothing is running; the client is told then."""
        self._is_ending = True
        if not self._streams:
            self._rest()

    def ask_no_more(self) -> None:
        """Tell the client now, if its requests are still running, to ask for nothing more."""
        if self._streams and not self._is_over:
            self._output.go(_ASK_NO_MORE)

    # Reading.

    async def _read(self, data: bytes) -> None:
        """Read until the connection is to be closed."""
        while data or (data := await self._next_data()):
            for start in range(0, len(data), _SLICE_BYTES):
                if not self._take(data[start : start + _SLICE_BYTES]):
                    return
                await self._output.until_heard()
            data = b""

    async def _next_data(self) -> bytes:
        """Return what comes next, empty at the end of the input; or say goodbye when time is over."""
        with trio.CancelScope(deadline=self._read_until) as self._reading:
            return await self._wire.receive()
        self._http.close_connection()
        self._output.go()
        return b""

    def _take(self, data: bytes) -> bool:
        """Understand what has come; tell whether more should be read."""
        try:
            for event in self._http.receive_data(data):
                self._handle(event)
        except ProtocolError:
            self._was_broken = True
            return False
        except _Over:
            return False
        finally:
            self._output.go()
        return True

    def _handle(self, event: events.Event) -> None:
        if isinstance(event, _USELESS):
            self._spend_patience()
        match event:
            case events.RequestReceived():
                self._begin(event.stream_id, event.headers)
            case events.DataReceived():
                self._take_body(event)
            case events.WindowUpdated(stream_id=0):
                self._output.stir()
            case events.RemoteSettingsChanged():
                for waiting in self._streams.values():
                    waiting.moved.unpark_all()
            case events.ConnectionTerminated():
                raise _Over
            case events.StreamEnded() | events.StreamReset() | events.WindowUpdated():
                if (stream := self._streams.get(event.stream_id)) is not None:
                    _tell(stream, event)

    def _begin(self, number: int, fields: list[Header]) -> None:
        if len(self._streams) >= MOST_STREAMS:  # of which the client has reset some
            with contextlib.suppress(StreamClosedError):  # by its reset, which came along
                self._http.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            self._spend_patience()
            return
        stream = Http2Stream(
            number, http=self._http, output=self._output, fields=fields, date=self._shared.date
        )
        self._streams[number] = stream
        self._was_asked = True
        self._wait_until(math.inf)
        self._serving.start_soon(self._serve, stream, fields)

    def _take_body(self, event: events.DataReceived) -> None:
        if not event.data and event.stream_ended is None:
            self._spend_patience()
        stream = self._streams.get(event.stream_id)
        if stream is None:
            self._http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        else:
            stream.take(event.data, event.flow_controlled_length)

    def _spend_patience(self) -> None:
        if not self._patience.spend(trio.current_time()):
            logging.getLogger(__name__).warning(
                "closed an HTTP/2 connection of %s: too many resets, pings or empty frames",
                self._ends.client[0],
            )
            self._http.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            self._was_broken = True
            raise _Over

    # Serving.

    async def _serve(self, stream: Http2Stream, fields: list[Header]) -> None:
        try:
            await self._answer(stream, fields)
        finally:
            stream.close()
            del self._streams[stream.number]
            self._answered_at = trio.current_time()
            if not self._streams:
                self._rest()

    async def _answer(self, stream: Http2Stream, fields: list[Header]) -> None:
        try:
            scope = scope_of(fields, self._ends)
        except MalformedRequest as error:
            await stream.refuse(error, new_request_id())
            return
        try:
            await self._shared.app(scope, stream.receive, stream.send)
        except BaseException as error:
            if not log_failure(error):
                raise
        if not stream.started:
            request_id = new_request_id()
            await stream.refuse(GatewayBug(request_id), request_id)

    # Ending.

    def _rest(self) -> None:
        """Nothing is running: let the time begin that a client may ask nothing."""
        if not self._is_ending:
            self._wait_until(trio.current_time() + self._shared.keep_alive_seconds)
        elif self._was_asked:
            self._wait_until(-math.inf)
        else:  # its first request may be on its way
            self._wait_until(self._made_at + FIRST_SECONDS)

    def _may_be_sending(self) -> bool:
        """Whether something may be on its way: the windows that a client opens for what it has just got, say.

        Closed before that has come, the system would reset the connection, and take from the client what it
        has not read.
        """
        return self._was_broken or trio.current_time() - self._answered_at < LINGER_SECONDS

    def _wait_until(self, time: float) -> None:
        self._read_until = self._reading.deadline = time


def _tell(
    stream: Http2Stream, event: events.StreamEnded | events.StreamReset | events.WindowUpdated
) -> None:
    match event:
        case events.StreamEnded():
            stream.end()
        case events.StreamReset():
            stream.leave()
        case events.WindowUpdated():
            stream.moved.unpark_all()


class _Over(Exception):
    """The connection is to be closed, and has been told so if it should be."""


def _new_http() -> H2Connection:
    http = _Http(
        H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_outbound_headers=False,  # `answer_head` has done so
            normalize_outbound_headers=False,
        )
    )
    http.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
            SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEAD_BYTES,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW_BYTES,
        },
    )
    http.decoder.max_header_list_size = MAX_HEAD_BYTES
    http.initiate_connection()
    http.increment_flow_control_window(CONNECTION_WINDOW_BYTES - _FIRST_WINDOW_BYTES)
    return http

"""One attempt: one request to one upstream, up to the point where its answer is worth having.

A whole answer is worth having when it is read and understood. A stream is *committed* with its first
meaningful event: text, a tool call, reasoning, or an end. What comes before it (a role, empty deltas) is
held back, so that an error inside a 200 still becomes an honest status, and can still be retried unseen.
From the moment in which the request goes out, one limit, that for the first byte, holds up to that point.

Every way out other than a returned result discards the upstream connection at once, synchronously, so
cancellation cannot interrupt the clean-up.
"""

import math
from collections.abc import Callable
from typing import Final

import msgspec
import trio

from adapters.dialect import (
    Answer,
    BadAnswer,
    BadCall,
    Call,
    EventKind,
    Failure,
    FailureKind,
    Headers,
    StreamDecoder,
    StreamEvent,
)
from adapters.sse import Signal
from router.errors import (
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from router.exchange.endpoint import Endpoint
from router.exchange.live import Run
from router.upstream.client import OutgoingRequest, UpstreamClient, UpstreamResponse
from router.upstream.errors import (
    AnswerTooLarge,
    ConnectFailed,
    UpstreamProtocolError,
    UpstreamTransportError,
)

MAX_ANSWER_BYTES: Final = 256 * 1024 * 1024
MAX_ERROR_BYTES: Final = 1024 * 1024
MAX_HELD_BYTES: Final = 1024 * 1024
MOST_HELD_EVENTS: Final = (
    16  # once committed; the relay decodes the rest, and watches what it costs
)
MAX_MALFORMED_EVENTS: Final = 8

# Server-sent events, and the binary frames of AWS.
_STREAM_TYPES: Final = (b"text/event-stream", b"application/vnd.amazon.eventstream")
_COMMITTING: Final = frozenset({EventKind.OUTPUT, EventKind.FINISH, EventKind.DONE})


class CommittedStream(msgspec.Struct):
    """An upstream stream that has begun to answer.

    `held` are the frames to send first; `done` says that they hold the whole stream already. The owner
    must call `response.discard()` in the end.
    """

    response: UpstreamResponse
    decoder: StreamDecoder
    held: list[bytes]
    done: bool
    malformed: int


class Attempt:
    """One call to the endpoint of one run, made once.

    `own_headers` are those of this request alone. `wall_clock` gives unix time, for a Retry-After that is a
    date.
    """

    def __init__(
        self,
        call: Call,
        run: Run,
        client: UpstreamClient,
        *,
        own_headers: Headers,
        wall_clock: Callable[[], float],
    ) -> None:
        self._call = call
        self._run = run
        self._endpoint: Endpoint = run.live.endpoint
        self._dialect = self._endpoint.dialect_of(call)
        self._client = client
        self._own_headers = own_headers
        self._wall_clock = wall_clock
        limits = self._endpoint.timeouts
        # The limit for connecting, which becomes the one for the first byte once connected.
        self._scope = trio.CancelScope(deadline=trio.current_time() + limits.connect)
        self._late = ("could not be connected", limits.connect)

    async def answer(self) -> Answer:
        """Return the whole answer. Raises `GatewayError`."""
        with self._scope:
            response = await self._send()
            try:
                body = await self._read_whole(response)
                return self._dialect.decode_answer(self._call, self._endpoint.target, body)
            except BadAnswer as error:
                raise self._endpoint.fault(error.failure) from error
            finally:
                response.discard()
        raise self._timeout()

    async def open_stream(self) -> CommittedStream:
        """Return the stream once it is committed. Raises `GatewayError`."""
        with self._scope:
            response = await self._send()
            try:
                return await self._commit(response)
            except BaseException:
                response.discard()
                raise
        raise self._timeout()

    async def _send(self) -> UpstreamResponse:
        """Send the request; return the response if it is a 200, else raise what its error means."""
        endpoint = self._endpoint
        try:
            encoded = self._dialect.encode_request(self._call, endpoint.target)
        except BadCall as error:
            raise self._endpoint.fault(_refusal(error)) from error
        request = OutgoingRequest(
            b"POST", encoded.target, encoded.headers, encoded.body, self._own_headers
        )
        try:
            response = await self._client.send(
                endpoint.origin, request, on_connected=self._connected
            )
        except UpstreamTransportError as error:
            raise self._translate(error) from error
        if 200 <= response.status < 300:
            return response
        try:
            raise await self._error_of(response)
        finally:
            response.discard()

    def _connected(self) -> None:
        self._run.asked()
        seconds = self._endpoint.timeouts.first_byte
        self._scope.deadline = trio.current_time() + seconds
        self._late = ("did not begin to answer", seconds)

    async def _error_of(self, response: UpstreamResponse) -> Exception:
        self._scope.deadline = math.inf  # it has answered
        try:
            with trio.fail_after(self._endpoint.timeouts.idle):
                body = await response.read(MAX_ERROR_BYTES)
        except (UpstreamTransportError, trio.TooSlowError):
            body = b""  # the status alone says enough
        failure = self._dialect.classify_error(
            response.status, response.headers, body, now_at=self._wall_clock()
        )
        return self._endpoint.fault(failure)

    async def _read_whole(self, response: UpstreamResponse) -> bytes:
        self._late = ("did not finish its answer", self._endpoint.timeouts.first_byte)
        try:
            return await response.read(MAX_ANSWER_BYTES)
        except UpstreamTransportError as error:
            raise self._translate(error) from error

    async def _commit(self, response: UpstreamResponse) -> CommittedStream:
        """Read up to the first meaningful event."""
        if not _is_event_stream(response):
            raise await self._not_a_stream(response)
        self._late = ("sent no token", self._endpoint.timeouts.first_byte)
        decoder = self._dialect.stream_decoder(self._call, self._endpoint.target)
        stream = CommittedStream(response, decoder, [], done=False, malformed=0)
        committed = False
        while not committed:
            try:
                data = await response.receive_body()
            except UpstreamTransportError as error:
                raise self._translate(error) from error
            decoder.receive_data(data)
            while not isinstance(event := decoder.next_event(), Signal):
                committed = self._hold(stream, event) or committed
                if committed and len(stream.held) >= MOST_HELD_EVENTS:
                    return stream
            if event is Signal.END and not stream.done:
                if not decoder.complete:
                    raise UpstreamInvalid(f"{self._name} ended its stream without an answer.")
                stream.held.append(decoder.closing_frames())
                stream.done = committed = True
        return stream

    def _hold(self, stream: CommittedStream, event: StreamEvent) -> bool:
        """Take one event in; return whether it commits the stream."""
        if stream.done:
            return True
        if event.kind is EventKind.ERROR and event.failure is not None:
            if any(stream.held) and stream.decoder.complete:
                return True
            raise self._endpoint.fault(event.failure)
        if event.kind is EventKind.MALFORMED:
            stream.malformed += 1
        if event.frame:
            stream.held.append(event.frame)
        if event.kind is EventKind.DONE:
            stream.done = True
        too_much = sum(map(len, stream.held)) > MAX_HELD_BYTES
        return event.kind in _COMMITTING or too_much or stream.malformed > MAX_MALFORMED_EVENTS

    async def _not_a_stream(self, response: UpstreamResponse) -> Exception:
        """Explain a 200 that is no event stream: an error in plain JSON, or an answer all at once."""
        body = await self._read_whole(response)
        try:
            self._dialect.decode_answer(self._call, self._endpoint.target, body)
        except BadAnswer as error:
            return self._endpoint.fault(error.failure)
        return UpstreamInvalid(f"{self._name} ignored the wish for a stream.")

    def _translate(self, error: UpstreamTransportError) -> Exception:
        """Translate a transport's error, once, into the tree of the gateway's own."""
        if isinstance(error, ConnectFailed):
            return UpstreamUnreachable(f"{self._name} could not be reached ({error.kind}).")
        if isinstance(error, UpstreamProtocolError | AnswerTooLarge):
            return UpstreamInvalid(f"{self._name} sent an answer that is not usable.")
        return UpstreamUnreachable(
            f"{self._name} closed the connection before its answer was whole."
        )

    def _timeout(self) -> UpstreamTimeout:
        what, seconds = self._late
        return UpstreamTimeout(f"{self._name} {what} within {seconds:g} seconds.")

    @property
    def _name(self) -> str:
        return f"The provider {self._endpoint.provider}"


class Attempts:
    """Makes the attempts of one call, whoever they go to. `own_headers` go with each of them."""

    def __init__(
        self,
        call: Call,
        client: UpstreamClient,
        own_headers: Headers,
        wall_clock: Callable[[], float],
    ) -> None:
        self._call = call
        self._client = client
        self._own_headers = own_headers
        self._wall_clock = wall_clock

    def for_call(self, call: Call) -> "Attempts":
        """Return the same for another call."""
        return Attempts(call, self._client, self._own_headers, self._wall_clock)

    async def open_stream(self, run: Run) -> CommittedStream:
        """Ask a run's endpoint for a stream (see `Attempt.open_stream`)."""
        return await self._to(run).open_stream()

    async def answer(self, run: Run) -> Answer:
        """Ask a run's endpoint for a whole answer (see `Attempt.answer`)."""
        return await self._to(run).answer()

    def _to(self, run: Run) -> Attempt:
        return Attempt(
            self._call,
            run,
            self._client,
            own_headers=self._own_headers,
            wall_clock=self._wall_clock,
        )


def _refusal(error: BadCall) -> Failure:
    """Return the failure that stands for a request which this provider's dialect has no words for."""
    return Failure(
        kind=FailureKind.REFUSED,
        status=400,
        message=error.message,
        type="invalid_request_error",
        code=error.code,
        param=error.param,
    )


def _is_event_stream(response: UpstreamResponse) -> bool:
    for name, value in response.headers:
        if name == b"content-type":
            return value.lower().startswith(_STREAM_TYPES)
    return False

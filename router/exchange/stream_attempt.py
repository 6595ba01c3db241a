"""One attempt at a stream, up to the moment in which it is *committed*: its first meaningful event has come.

That is text, a tool call, reasoning, or an end. What comes before it (a role, empty deltas) is held back, so
that an error inside a 200 still becomes an honest status, and can still be retried unseen. From the moment in
which the request goes out, one limit, that for the first byte, holds up to that point.
"""

from collections.abc import Coroutine
from typing import Any, Final

import msgspec
import trio

from adapters.dialect import BadAnswer, EventKind, StreamDecoder, StreamEvent
from adapters.sse import Signal
from router.errors import UpstreamInvalid
from router.exchange.attempt import MAX_ANSWER_BYTES, Attempt, Attempts
from router.exchange.live import Run
from router.upstream.client import UpstreamResponse
from router.upstream.errors import UpstreamTransportError

MAX_HELD_BYTES: Final = 1024 * 1024
# Once it is committed; the relay decodes the rest, and watches what it costs.
MOST_HELD_EVENTS: Final = 16
MAX_MALFORMED_EVENTS: Final = 8

# Server-sent events, and the binary frames of AWS.
_STREAM_TYPES: Final = (b"text/event-stream", b"application/vnd.amazon.eventstream")
_COMMITTING: Final = frozenset({EventKind.OUTPUT, EventKind.FINISH, EventKind.DONE})


class CommittedStream(msgspec.Struct):
    """An upstream stream that has begun to answer.

    `held` are the frames to send first; `done` says that they hold the whole stream already. `token`: what
    it was asked for with, where that is fetched, so that nobody is told it. The owner must call
    `response.discard()` in the end.
    """

    response: UpstreamResponse
    decoder: StreamDecoder
    held: list[bytes]
    done: bool
    malformed: int
    token: str | None = None


def open_stream(attempts: Attempts, run: Run) -> Coroutine[Any, Any, CommittedStream]:
    """Ask a run's endpoint for a stream (see `StreamAttempt.open`)."""
    return StreamAttempt(run, attempts).open()


class StreamAttempt(Attempt):
    """One attempt whose answer is a stream."""

    __slots__ = ()

    async def open(self) -> CommittedStream:
        """Return the stream once it is committed. Raises `GatewayError`, `GivenUp`, `Overdue`."""
        try:
            response = await self._sending(self._call)
            stream: CommittedStream | None = None
            try:
                if not 200 <= response.status < 300:
                    raise await self._error_of(response)
                stream = await self._commit(response)
            finally:
                if stream is None or self._is_interrupted:
                    response.discard()
            if self._is_interrupted:
                raise self._ended()
        except UpstreamTransportError as error:
            raise self._translate(error) from error
        except trio.ClosedResourceError as error:
            raise self._ended() if self._is_interrupted else error from None
        else:
            return stream
        finally:
            self._waits_no_more()

    async def _commit(self, response: UpstreamResponse) -> CommittedStream:
        """Read up to the first meaningful event."""
        if not _is_event_stream(response):
            raise await self._not_a_stream(response)
        self._late = ("sent no token", self._endpoint.timeouts.first_byte)
        decoder = self._dialect.stream_decoder(self._call, self._endpoint.target)
        stream = CommittedStream(response, decoder, [], done=False, malformed=0, token=self._token)
        committed = False
        while not committed:
            data = await response.receive_body()
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
            raise self._fault(event.failure)
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
        self._late = ("did not finish its answer", self._endpoint.timeouts.first_byte)
        try:
            body = await response.read(MAX_ANSWER_BYTES)
            self._dialect.decode_answer(self._call, self._endpoint.target, body)
        except UpstreamTransportError as error:
            raise self._translate(error) from error
        except BadAnswer as error:
            return self._fault(error.failure)
        return UpstreamInvalid(f"{self._name} ignored the wish for a stream.")


def _is_event_stream(response: UpstreamResponse) -> bool:
    for name, value in response.headers:
        if name == b"content-type":
            return value.lower().startswith(_STREAM_TYPES)
    return False

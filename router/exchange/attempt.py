"""One attempt: one request to one upstream, up to the point where its answer is worth having.

A whole answer is worth having when it is read and understood. A stream is *committed* with its first
meaningful event: text, a tool call, reasoning, or an end. What comes before it (a role, empty deltas) is
held back, so that an error inside a 200 still becomes an honest status, and can still be retried unseen.
From the moment in which the request goes out, one limit, that for the first byte, holds up to that point.

Every way out other than a returned result discards the upstream connection at once, synchronously, so
cancellation cannot interrupt the clean-up.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

import msgspec
import trio

from adapters.dialect import (
    Answer,
    BadAnswer,
    BadCall,
    Call,
    EncodedRequest,
    EventKind,
    Failure,
    FailureKind,
    FilesWanted,
    Headers,
    StreamDecoder,
    StreamEvent,
)
from adapters.embedding_bridge import joined, usage_of
from adapters.gemini.key_file import ServiceAccount
from adapters.sse import Signal
from router.errors import (
    GatewayError,
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from router.exchange.bearers import Bearers
from router.exchange.company import GivenUp
from router.exchange.files import FetchAll, RequestFiles
from router.exchange.live import Run
from router.exchange.overdue import Overdue
from router.observe.record import RequestRecord
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


class Means(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What all attempts of a process are made with.

    `bearers` have the tokens of service accounts; `fetch_all` gets what clients' URLs lead to, `None` where
    nothing is fetched. `wall_clock` gives unix time, for a Retry-After that is a date. By
    `trace_headers(record)` the attempts of one request are traced.
    """

    client: UpstreamClient
    bearers: Bearers
    fetch_all: FetchAll | None
    wall_clock: Callable[[], float]
    trace_headers: Callable[[RequestRecord], Headers]


class Attempts:
    """Makes the attempts of one call, whoever they go to. `own_headers` are those of its request alone."""

    __slots__ = ("_files", "call", "means", "own_headers")

    def __init__(
        self, call: Call, means: Means, own_headers: Headers, files: RequestFiles | None = None
    ) -> None:
        self.call = call
        self.means = means
        self.own_headers = own_headers
        self._files = files

    @property
    def files(self) -> RequestFiles:
        """What the call's URLs lead to: the same for all its attempts, and made for the first that asks."""
        if self._files is None:
            self._files = RequestFiles(self.means.fetch_all, self.call.fields)
        return self._files

    def for_rest(self, call: Call) -> "Attempts":
        """Return the same for the call that asks for the rest of the answer."""
        return Attempts(call, self.means, self.own_headers, self.files)

    def open_stream(self, run: Run) -> Coroutine[Any, Any, CommittedStream]:
        """Ask a run's endpoint for a stream (see `Attempt.open_stream`)."""
        return Attempt(run, self).open_stream()

    def answer(self, run: Run) -> Coroutine[Any, Any, Answer]:
        """Ask a run's endpoint for a whole answer (see `Attempt.answer`)."""
        return Attempt(run, self).answer()


class Attempt:
    """One call to the endpoint of one run, made once, at once."""

    __slots__ = (
        "_attempts",
        "_call",
        "_dialect",
        "_endpoint",
        "_is_connecting",
        "_late",
        "_run",
        "_scope",
        "_token",
    )

    def __init__(self, run: Run, attempts: Attempts) -> None:
        endpoint = run.live.endpoint
        self._attempts = attempts
        self._call = attempts.call
        self._run = run
        self._endpoint = endpoint
        self._dialect = endpoint.dialect_of(attempts.call)
        self._token: str | None = None  # where the endpoint wants one
        # Where a connection is to be had at once, as it mostly is, no time passes before it is asked.
        self._is_connecting = False
        self._late = ("did not begin to answer", endpoint.timeouts.first_byte)
        self._scope = trio.CancelScope(
            deadline=min(run.started + endpoint.timeouts.first_byte, run.until)
        )
        if run.scope is None:
            run.scope = self._scope

    async def answer(self) -> Answer:
        """Return the whole answer, in pieces one after the other where it must be. Raises `GatewayError`."""
        with self._scope:
            if self._call.endpoint == "embeddings":
                return await self._answer_in_pieces()
            return await self._answer(self._call)
        raise self._ended()

    async def _answer_in_pieces(self) -> Answer:
        """Return an answer that may have to be asked for in several calls: a provider takes so many texts."""
        try:
            pieces = self._endpoint.pieces_of(self._call)
        except BadCall as error:
            raise self._fault(_refusal(error)) from error
        answers: list[Answer] = []
        for call in pieces:
            if answers:
                self._run.spent = usage_of(answers)
                self._limit_connecting()
            answers.append(await self._answer(call))
        return joined(answers)

    async def _answer(self, call: Call) -> Answer:
        response = await self._send(call)
        self._late = ("did not finish its answer", self._endpoint.timeouts.first_byte)
        try:
            body = await response.read(MAX_ANSWER_BYTES)
            return self._dialect.decode_answer(call, self._endpoint.target, body)
        except UpstreamTransportError as error:
            raise self._translate(error) from error
        except BadAnswer as error:
            raise self._fault(error.failure) from error
        finally:
            response.discard()

    async def open_stream(self) -> CommittedStream:
        """Return the stream once it is committed. Raises `GatewayError`."""
        with self._scope:
            response = await self._send(self._call)
            try:
                return await self._commit(response)
            except BaseException:
                response.discard()
                raise
        raise self._ended()

    async def _send(self, call: Call) -> UpstreamResponse:
        """Send the request; return the response if it is a 200, else raise what its error means."""
        try:
            encoded = self._encode(call)
        except FilesWanted as wanted:
            encoded = await self._encode_with_files(call, wanted.urls)
        own_headers = self._attempts.own_headers
        account = self._endpoint.account
        if account is not None:
            self._token = await self._token_of(account)
            bearer = (b"authorization", f"Bearer {self._token}".encode("latin-1"))
            own_headers = (bearer, *own_headers)
        request = OutgoingRequest(
            b"POST", encoded.target, encoded.headers, encoded.body, own_headers
        )
        try:
            response = await self._attempts.means.client.send(
                self._endpoint.origin,
                request,
                on_wait=self._limit_connecting,
                on_connected=self._connected,
            )
        except UpstreamTransportError as error:
            raise self._translate(error) from error
        if 200 <= response.status < 300:
            return response
        try:
            raise await self._error_of(response)
        finally:
            response.discard()

    async def _token_of(self, account: ServiceAccount) -> str:
        """Return the account's token, under the limit for connecting."""
        self._limit("got no token", self._endpoint.timeouts.connect)
        try:
            token = await self._attempts.means.bearers.token_of(account)
        except BadAnswer as error:
            raise self._fault(error.failure) from error
        self._limit_connecting()
        return token

    async def _encode_with_files(self, call: Call, urls: Sequence[str]) -> EncodedRequest:
        """Write a request to a provider that wants bytes for these URLs."""
        self._scope.deadline = self._run.until  # files have limits of their own
        self._run.held_up()
        files = await self._attempts.files.of(urls)
        self._run.goes_on(trio.current_time())
        self._limit_connecting()
        return self._encode(msgspec.structs.replace(call, files=files))

    def _encode(self, call: Call) -> EncodedRequest:
        """Write the request. Raises `FilesWanted` where the provider wants bytes for a URL."""
        try:
            return self._dialect.encode_request(call, self._endpoint.target)
        except BadCall as error:
            raise self._fault(_refusal(error)) from error

    def _limit_connecting(self) -> None:
        """Allow the time for connecting, which becomes that for the first byte once connected."""
        self._is_connecting = True
        self._limit("could not be connected", self._endpoint.timeouts.connect)

    def _connected(self) -> None:
        self._run.asked()
        if self._is_connecting:
            self._is_connecting = False
            self._limit("did not begin to answer", self._endpoint.timeouts.first_byte)

    def _limit(self, late: str, seconds: float) -> None:
        """Allow so many seconds from now on; say what was `late` where they do not suffice."""
        self._late = (late, seconds)
        self._scope.deadline = min(trio.current_time() + seconds, self._run.until)

    async def _error_of(self, response: UpstreamResponse) -> Exception:
        self._scope.deadline = self._run.until  # it has answered
        try:
            with trio.fail_after(self._endpoint.timeouts.idle):
                body = await response.read(MAX_ERROR_BYTES)
        except (UpstreamTransportError, trio.TooSlowError):
            body = b""  # the status alone says enough
        failure = self._dialect.classify_error(
            response.status, response.headers, body, now_at=self._attempts.means.wall_clock()
        )
        account = self._endpoint.account
        if account is not None and self._token is not None and response.status == 401:
            self._attempts.means.bearers.refused(account, self._token)
        return self._fault(failure)

    async def _commit(self, response: UpstreamResponse) -> CommittedStream:
        """Read up to the first meaningful event."""
        if not _is_event_stream(response):
            raise await self._not_a_stream(response)
        self._late = ("sent no token", self._endpoint.timeouts.first_byte)
        decoder = self._dialect.stream_decoder(self._call, self._endpoint.target)
        stream = CommittedStream(response, decoder, [], done=False, malformed=0, token=self._token)
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

    def _fault(self, failure: Failure) -> GatewayError:
        return self._endpoint.fault(failure, self._token)

    def _translate(self, error: UpstreamTransportError) -> Exception:
        """Translate a transport's error, once, into the tree of the gateway's own."""
        if isinstance(error, ConnectFailed):
            return UpstreamUnreachable(f"{self._name} could not be reached ({error.kind}).")
        if isinstance(error, UpstreamProtocolError | AnswerTooLarge):
            return UpstreamInvalid(f"{self._name} sent an answer that is not usable.")
        return UpstreamUnreachable(
            f"{self._name} closed the connection before its answer was whole."
        )

    def _ended(self) -> UpstreamTimeout | Overdue | GivenUp:
        """Return why the scope has ended the attempt."""
        if self._run.is_given_up:
            return GivenUp()
        if trio.current_time() >= self._run.until:
            return Overdue()
        what, seconds = self._late
        return UpstreamTimeout(f"{self._name} {what} within {seconds:g} seconds.")

    @property
    def _name(self) -> str:
        return f"The provider {self._endpoint.provider}"


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

"""One attempt: one request to one upstream, up to the point where its answer is worth having.

A whole answer is worth having when it is read and understood, a stream earlier (`stream_attempt`). From the
moment in which the request goes out, one limit, that for the first byte, holds up to that point.

An attempt waits for its connection nearly always, and that serves nobody else meanwhile. So it is ended by
closing it, when its time is over or when it is given up, and its time is one alarm among those of all
(`alarms`). A cancel scope, which costs more, is made only where an attempt waits for something else.

Every way out other than a returned result discards the upstream connection at once, synchronously, so
cancellation cannot interrupt the clean-up.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from math import inf
from typing import Any, Final, TypeVar

import msgspec
import trio

from adapters.dialect import (
    Answer,
    BadAnswer,
    BadCall,
    Call,
    EncodedRequest,
    Failure,
    FailureKind,
    FilesWanted,
    Headers,
)
from adapters.embedding_bridge import joined, usage_of
from adapters.gemini.key_file import ServiceAccount
from router.errors import (
    GatewayError,
    UpstreamInvalid,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from router.exchange.alarms import Alarm, Alarms
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

T = TypeVar("T")


class Means(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What all attempts of a process are made with.

    `alarms` ring when an attempt's time is over. `bearers` have the tokens of service accounts; `fetch_all`
    gets what clients' URLs lead to, `None` where nothing is fetched. `wall_clock` gives unix time, for a
    Retry-After that is a date. By `trace_headers(record)` the attempts of one request are traced.
    """

    client: UpstreamClient
    alarms: Alarms
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

    def answer(self, run: Run) -> Coroutine[Any, Any, Answer]:
        """Ask a run's endpoint for a whole answer (see `Attempt.answer`)."""
        attempt = Attempt(run, self)
        if self.call.endpoint == "embeddings":
            return attempt.answer_in_pieces()
        return attempt.answer(self.call)


class Attempt:
    """One call to the endpoint of one run, made once, at once."""

    __slots__ = (
        "_alarm",
        "_attempts",
        "_awaited",
        "_call",
        "_dialect",
        "_endpoint",
        "_is_connecting",
        "_is_interrupted",
        "_late",
        "_over_at",
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
        self._over_at = inf  # when its time is over
        self._alarm: Alarm | None = None  # for that, unless its race looks after it before
        self._awaited: UpstreamResponse | None = None  # the one that is waited for
        self._scope: trio.CancelScope | None = None  # of what else is waited for
        self._is_interrupted = False
        if run.interrupt is None:  # else somebody waits for it who can be given up instead
            run.interrupt = self.interrupt

    def interrupt(self) -> None:
        """End the attempt's waiting, and nothing else that its task does."""
        self._is_interrupted = True
        if self._scope is not None:
            self._scope.cancel()
        elif self._awaited is not None:
            self._awaited.interrupt()

    async def answer_in_pieces(self) -> Answer:
        """Return an answer that may have to be asked for in several calls: a provider takes so many texts.

        Raises and is cancelled like `answer`.
        """
        try:
            pieces = self._endpoint.pieces_of(self._call)
        except BadCall as error:
            raise self._fault(_refusal(error)) from error
        answers: list[Answer] = []
        for call in pieces:
            if answers:
                self._run.spent = usage_of(answers)
                self._limit_connecting()
            answers.append(await self.answer(call))
        return joined(answers)

    async def answer(self, call: Call) -> Answer:
        """Return the whole answer to a call. Raises `GatewayError`, `GivenUp`, `Overdue`."""
        try:
            response = await self._sending(call)
            try:
                if not 200 <= response.status < 300:
                    raise await self._error_of(response)
                self._late = ("did not finish its answer", self._endpoint.timeouts.first_byte)
                body = await response.read(MAX_ANSWER_BYTES)
                if self._is_interrupted:
                    raise self._ended()
                return self._dialect.decode_answer(call, self._endpoint.target, body)
            except BadAnswer as error:
                raise self._fault(error.failure) from error
            finally:
                response.discard()
        except UpstreamTransportError as error:
            raise self._translate(error) from error
        except trio.ClosedResourceError as error:
            raise self._ended() if self._is_interrupted else error from None
        finally:
            self._waits_no_more()

    def _sending(self, call: Call) -> Awaitable[UpstreamResponse]:
        """Write the request; return its sending, which gives the response whatever its status.

        Raises `GatewayError` where there are no words for it, and UpstreamTransportError when awaited.
        """
        try:
            encoded = self._encode(call)
        except FilesWanted as wanted:
            return self._send_when_ready(call, wanted.urls)
        if self._endpoint.account is not None:
            return self._send_when_ready(call, ())
        return self._send(encoded, self._attempts.own_headers)

    async def _send_when_ready(self, call: Call, urls: Sequence[str]) -> UpstreamResponse:
        """Send a request that needs the files at these URLs, or an account's token, or both."""
        encoded = await self._encode_with_files(call, urls) if urls else self._encode(call)
        own_headers = self._attempts.own_headers
        account = self._endpoint.account
        if account is not None:
            self._token = await self._token_of(account)
            bearer = (b"authorization", f"Bearer {self._token}".encode("latin-1"))
            own_headers = (bearer, *own_headers)
        return await self._send(encoded, own_headers)

    def _send(self, encoded: EncodedRequest, own_headers: Headers) -> Awaitable[UpstreamResponse]:
        call = self._call
        return self._attempts.means.client.send(
            self._endpoint.origin,
            OutgoingRequest(
                b"POST", encoded.target, encoded.headers, encoded.body, own_headers, call.stream
            ),
            connecting=self._connecting,
            on_connected=self._connected,
        )

    async def _token_of(self, account: ServiceAccount) -> str:
        """Return the account's token, under the limit for connecting."""
        self._limit("got no token", self._endpoint.timeouts.connect)
        try:
            token = await self._interruptible(self._attempts.means.bearers.token_of(account))
        except BadAnswer as error:
            raise self._fault(error.failure) from error
        self._limit_connecting()
        return token

    async def _encode_with_files(self, call: Call, urls: Sequence[str]) -> EncodedRequest:
        """Write a request to a provider that wants bytes for these URLs."""
        self._be_interrupted_at(self._run.until)  # files have limits of their own
        self._run.held_up()
        files = await self._interruptible(self._attempts.files.of(urls))
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

    async def _connecting(self, waiting: Awaitable[T]) -> T:
        """Wait for a connection: for the first within its own limit, for the next in place of a stale one."""
        if not self._run.has_asked:
            self._limit_connecting()
        return await self._interruptible(waiting)

    def _connected(self, response: UpstreamResponse) -> None:
        """Wait for an answer on this connection. Raises why the attempt was interrupted, if it was."""
        if self._is_interrupted:
            raise self._ended()
        self._awaited = response
        self._run.has_asked = True
        first_byte = self._endpoint.timeouts.first_byte
        if self._is_connecting:
            self._is_connecting = False
            self._limit("did not begin to answer", first_byte)
        elif self._over_at == inf:
            self._be_interrupted_at(min(self._run.started + first_byte, self._run.until))

    def _limit(self, late: str, seconds: float) -> None:
        """Allow so many seconds from now on; say what was `late` where they do not suffice."""
        self._late = (late, seconds)
        self._be_interrupted_at(min(trio.current_time() + seconds, self._run.until))

    def _be_interrupted_at(self, moment: float) -> None:
        """Let the attempt's time be over at this moment, and no more at the one said before."""
        self._over_at = moment
        self._be_woken_no_more()
        if moment < inf:
            if moment > self._run.looks_at:
                self._run.unwatched = self._be_woken
            else:
                self._be_woken()

    def _be_woken(self) -> None:
        self._alarm = self._attempts.means.alarms.set(self._over_at, self._rung)

    def _be_woken_no_more(self) -> None:
        self._run.unwatched = None
        if self._alarm is not None:
            self._attempts.means.alarms.call_off(self._alarm)
            self._alarm = None

    def _rung(self, _now: float) -> None:
        self.interrupt()

    def _waits_no_more(self) -> None:
        self._awaited = None
        self._be_woken_no_more()

    async def _interruptible(self, waiting: Awaitable[T]) -> T:
        """Wait for what is no answer on a connection. Raises why it was interrupted, if it was."""
        scope = self._scope = trio.CancelScope()
        try:
            with scope:
                return await waiting
        finally:
            self._scope = None
        raise self._ended()

    async def _error_of(self, response: UpstreamResponse) -> Exception:
        self._be_interrupted_at(self._run.until)  # it has answered
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
        """Return why the attempt was interrupted."""
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

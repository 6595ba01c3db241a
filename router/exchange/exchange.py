"""The exchange: one request's life between the front and the upstreams.

Resolve the model, race the candidates, relay the winner, and note in the record what happened. Deadlines are
set here and nowhere below. An error that comes before the first byte leaves as an exception for the front
to render; after it, the client of a stream gets an error event, and the reply stays unfinished so that the
front breaks the connection (a cut stream is never presented as complete).
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec
import trio

from adapters.dialect import Answer, BadCall, Call, Usage
from router.catalog.catalog import Catalog
from router.catalog.routes import Route
from router.catalog.wishes import WISH_FIELDS, Wish, read_wish
from router.errors import GatewayError, InvalidRequest, ModelNotFound, UpstreamTimeout
from router.exchange.attempt import Attempt, CommittedStream
from router.exchange.hedge import Contender, Won
from router.exchange.racing import Contest, Racing
from router.exchange.relay import StreamRelay
from router.exchange.reply import Reply
from router.exchange.rescue import Rescue, may_be_rescued
from router.observe.record import RequestRecord
from router.upstream.client import UpstreamClient
from router.upstream.errors import UpstreamTransportError

T = TypeVar("T")

TAIL_SECONDS: Final = 0.1  # how long the end of a finished body may take, to keep its connection


class Exchange:
    """Serves calls against the catalog's candidates through one upstream client.

    `comment_every`: seconds of silence after which a streaming client gets a keep-alive comment.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        client: UpstreamClient,
        racing: Racing,
        traceparent_of: Callable[[RequestRecord], str | None],
        wall_clock: Callable[[], float],
        comment_every: float,
    ) -> None:
        self._catalog = catalog
        self._client = client
        self._racing = racing
        self._traceparent_of = traceparent_of
        self._wall_clock = wall_clock
        self._comment_every = comment_every

    async def serve(
        self, call: Call, reply: Reply, record: RequestRecord, *, rescue: bool = True
    ) -> None:
        """Serve one call. Raises `GatewayError`; cancellation closes every upstream connection at once.

        `rescue`: whether somebody else may go on with a stream that breaks.
        """
        call, route, wish = self._resolve(call)
        if rescue and may_be_rescued(call, route):
            call = msgspec.structs.replace(call, keeps_beginning=True)
        total = route.candidates[0].timeouts.total
        try:
            with trio.fail_after(total):
                await self._serve(call, route, wish, reply, record)
        except GatewayError as error:
            await _tell(error, call, reply)
            raise
        except trio.TooSlowError:
            slow = UpstreamTimeout(f"The call took longer than {total:g} seconds.")
            await _tell(slow, call, reply)
            raise slow from None

    def _resolve(self, call: Call) -> tuple[Call, Route, Wish]:
        """Return the call without what was meant for the gateway, and where it may go."""
        route = self._catalog.resolve(call.model)
        if route is None:
            raise ModelNotFound(call.model, self._catalog.nearest(call.model))
        if not any(name in call.fields for name in WISH_FIELDS):
            return call, route, Wish()
        try:
            wish = read_wish(call.fields)
            route = wish.apply(self._catalog, route)
        except BadCall as error:
            raise InvalidRequest.from_bad_call(error) from error
        fields = {name: raw for name, raw in call.fields.items() if name not in WISH_FIELDS}
        return msgspec.structs.replace(call, fields=fields), route, wish

    async def _serve(
        self, call: Call, route: Route, wish: Wish, reply: Reply, record: RequestRecord
    ) -> None:
        runner = _Attempts(call, self._client, self._traceparent_of(record), self._wall_clock)
        if call.stream:
            race = self._racing.race(route, call, wish, runner.open_stream, _discard)
            rescue = Rescue(
                call,
                route,
                wish,
                racing=self._racing,
                opener_of=lambda rest: runner.for_call(rest).open_stream,
            )
            await self._stream(await _won(race, record), rescue, reply, record)
        else:
            whole = await _won(self._racing.race(route, call, wish, runner.answer, _keep), record)
            whole.run.completed(trio.current_time())
            _note_usage(record, whole.value.usage)
            await reply.answer(200, _json_headers(record), whole.value.body)

    async def _stream(
        self, won: Won[CommittedStream], rescue: Rescue, reply: Reply, record: RequestRecord
    ) -> None:
        """Relay the winner, and if that breaks, whoever can go on. Raises what broke it if nobody can."""
        record.first_token_seconds = trio.current_time() - record.started
        headers = _served_headers(record)
        relay = StreamRelay(reply, headers=headers, comment_every=self._comment_every)
        spent = record.attempts
        broken = await self._relay(won, relay, record)
        if broken is None:
            return
        try:
            rescuer = await rescue.win(won, broken, relay, spent=spent)
        finally:
            record.attempts = spent + rescue.attempts
        if rescuer is None:
            raise broken
        record.rescuer = rescuer.run.live.endpoint.provider
        broken = await self._relay(rescuer, relay, record)
        if broken is not None:
            raise broken

    async def _relay(
        self, won: Won[CommittedStream], relay: StreamRelay, record: RequestRecord
    ) -> GatewayError | None:
        """Relay one stream to its end and let go of it; return what broke it, if it broke."""
        stream = won.value
        try:
            await relay.run(stream, won.run.live.endpoint)
            won.run.completed(trio.current_time())
            await _read_tail(stream)
        except GatewayError as error:
            self._racing.failed(won.run, error)
            return error
        finally:
            won.run.abandoned(trio.current_time())
            stream.response.discard()
            record.events = relay.events
            _note_usage(record, stream.decoder.usage)
        return None


class _Attempts:
    """Makes the attempts of one call, whoever they go to."""

    def __init__(
        self,
        call: Call,
        client: UpstreamClient,
        traceparent: str | None,
        wall_clock: Callable[[], float],
    ) -> None:
        self._call = call
        self._client = client
        self._traceparent = traceparent
        self._wall_clock = wall_clock

    def for_call(self, call: Call) -> "_Attempts":
        return _Attempts(call, self._client, self._traceparent, self._wall_clock)

    async def open_stream(self, contender: Contender) -> CommittedStream:
        return await self._to(contender).open_stream()

    async def answer(self, contender: Contender) -> Answer:
        return await self._to(contender).answer()

    def _to(self, contender: Contender) -> Attempt:
        return Attempt(
            self._call,
            contender.live.endpoint,
            self._client,
            traceparent=self._traceparent,
            wall_clock=self._wall_clock,
        )


def _discard(stream: CommittedStream) -> None:
    stream.response.discard()


def _keep(_answer: Answer) -> None:
    """A whole answer holds nothing that must be let go of."""


async def _tell(error: GatewayError, call: Call, reply: Reply) -> None:
    """Tell the client of a stream that has begun what became of it."""
    if reply.started and call.stream:
        await reply.send(b"data: " + msgspec.json.encode({"error": error.to_body()}) + b"\n\n")


async def _read_tail(stream: CommittedStream) -> None:
    """Read the little that may follow `[DONE]`, so that the connection can serve again.

    Shielded, because the client has its whole answer: the call's limit must not speak any more.
    """
    with trio.CancelScope(deadline=trio.current_time() + TAIL_SECONDS, shield=True):
        try:
            while await stream.response.receive_body():
                pass
        except UpstreamTransportError:
            return  # the answer is complete; only the connection is lost


async def _won(race: Contest[T], record: RequestRecord) -> Won[T]:
    """Run a race to its end, and note who won after how many attempts. Raises `GatewayError`."""
    try:
        won = await race.run()
    finally:
        record.attempts = race.attempts
    endpoint = won.run.live.endpoint
    record.provider = endpoint.provider
    record.upstream_model = endpoint.target.upstream_model
    record.upstream_host = endpoint.origin.host
    record.upstream_port = endpoint.origin.port
    record.hedged = won.hedge
    return won


def _note_usage(record: RequestRecord, usage: Usage | None) -> None:
    if usage is not None:
        record.input_tokens = usage.input_tokens
        record.output_tokens = usage.output_tokens
        record.cached_tokens = usage.cached_tokens
        record.reasoning_tokens = usage.reasoning_tokens
        record.usage_estimated = usage.estimated


def _served_headers(record: RequestRecord) -> list[tuple[bytes, bytes]]:
    """Say who served, after how many attempts, and whether a hedge won."""
    return [
        (b"x-syze-provider", (record.provider or "").encode()),
        (b"x-syze-attempts", str(record.attempts).encode()),
        (b"x-syze-hedged", b"true" if record.hedged else b"false"),
    ]


def _json_headers(record: RequestRecord) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), *_served_headers(record)]

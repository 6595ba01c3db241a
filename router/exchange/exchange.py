"""The exchange: one request's life between the front and the upstreams.

Resolve the model, choose a candidate, attempt, relay, and note in the record what happened. Deadlines are
set here and nowhere below. An error that comes before the first byte leaves as an exception for the front
to render; after it, the client of a stream gets an error event, and the reply stays unfinished so that the
front breaks the connection (a cut stream is never presented as complete).
"""

from collections.abc import Callable
from typing import Final

import msgspec
import trio

from adapters.dialect import Call, Usage
from router.catalog.catalog import Catalog
from router.errors import GatewayError, ModelNotFound, UpstreamTimeout
from router.exchange.attempt import Attempt, CommittedStream
from router.exchange.endpoint import Endpoint, Endpoints
from router.exchange.relay import StreamRelay
from router.exchange.reply import Reply
from router.observe.record import RequestRecord
from router.upstream.client import UpstreamClient
from router.upstream.errors import UpstreamTransportError

JSON_HEADERS: Final = ((b"content-type", b"application/json"),)
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
        endpoints: Endpoints,
        traceparent_of: Callable[[RequestRecord], str | None],
        wall_clock: Callable[[], float],
        comment_every: float,
    ) -> None:
        self._catalog = catalog
        self._client = client
        self._endpoints = endpoints
        self._traceparent_of = traceparent_of
        self._wall_clock = wall_clock
        self._comment_every = comment_every

    async def serve(self, call: Call, reply: Reply, record: RequestRecord) -> None:
        """Serve one call. Raises `GatewayError`; cancellation closes the upstream connection at once."""
        endpoint = self._choose(call)
        record.provider = endpoint.provider
        record.upstream_model = endpoint.target.upstream_model
        record.upstream_host = endpoint.origin.host
        record.upstream_port = endpoint.origin.port
        record.attempts = 1
        try:
            await self._serve_in_time(call, endpoint, reply, record)
        except GatewayError as error:
            if reply.started and call.stream:
                await reply.send(_error_event(error))
            raise

    def _choose(self, call: Call) -> Endpoint:
        route = self._catalog.resolve(call.model)
        if route is None:
            raise ModelNotFound(call.model, self._catalog.nearest(call.model))
        return self._endpoints.of(route, route.candidates[0])

    async def _serve_in_time(
        self, call: Call, endpoint: Endpoint, reply: Reply, record: RequestRecord
    ) -> None:
        total = endpoint.timeouts.total
        attempt = Attempt(
            call,
            endpoint,
            self._client,
            traceparent=self._traceparent_of(record),
            wall_clock=self._wall_clock,
        )
        try:
            with trio.fail_after(total):
                if call.stream:
                    await self._relay(attempt, endpoint, reply, record)
                else:
                    await self._answer(attempt, reply, record)
        except trio.TooSlowError:
            raise UpstreamTimeout(f"The call took longer than {total:g} seconds.") from None

    async def _answer(self, attempt: Attempt, reply: Reply, record: RequestRecord) -> None:
        answer = await attempt.answer()
        _note_usage(record, answer.usage)
        await reply.answer(200, JSON_HEADERS, answer.body)

    async def _relay(
        self, attempt: Attempt, endpoint: Endpoint, reply: Reply, record: RequestRecord
    ) -> None:
        stream = await attempt.open_stream()
        record.first_token_seconds = trio.current_time() - record.started
        relay = StreamRelay(
            stream,
            reply,
            endpoint=endpoint,
            comment_every=self._comment_every,
        )
        try:
            await relay.run()
            await _read_tail(stream)
        finally:
            stream.response.discard()
            record.events = relay.events
            _note_usage(record, stream.decoder.usage)


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


def _note_usage(record: RequestRecord, usage: Usage | None) -> None:
    if usage is not None:
        record.input_tokens = usage.input_tokens
        record.output_tokens = usage.output_tokens
        record.cached_tokens = usage.cached_tokens
        record.reasoning_tokens = usage.reasoning_tokens


def _error_event(error: GatewayError) -> bytes:
    return b"data: " + msgspec.json.encode({"error": error.to_body()}) + b"\n\n"

"""The exchange: one request's life between the front and the upstreams.

Resolve the model, race the candidates, relay the winner, close the books, and note in the record what
happened. Deadlines are set here and nowhere below. An error that comes before the first byte leaves as an
exception for the front to render; after it, the client of a stream gets an error event, and the reply stays
unfinished so that the front breaks the connection (a cut stream is never presented as complete).
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec
import trio

from adapters.dialect import Answer, BadCall, Call
from router.accounts.caller import Caller
from router.admission.admission import Admission
from router.catalog.catalog import Catalog
from router.catalog.routes import Route
from router.catalog.wishes import NO_WISH, WISH_FIELDS, Wish, read_wish
from router.errors import (
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    UpstreamTimeout,
)
from router.exchange.attempt import Attempts, CommittedStream
from router.exchange.books import Books, Ending, Whose
from router.exchange.closing import Closing, Settle
from router.exchange.hedge import Won
from router.exchange.options import Hedging, Options, hedging
from router.exchange.racing import Contest, Racing, Request
from router.exchange.relay import StreamRelay
from router.exchange.reply import Headers, Reply
from router.exchange.rescue import may_be_rescued
from router.exchange.streaming import StreamedAnswer
from router.observe.record import RequestRecord

T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the front has understood of a request; `body` is all that the client sent."""

    caller: Caller
    call: Call
    body: bytes
    options: Options


class Exchange:
    """Serves calls against the catalog's candidates.

    `relay_of(reply, request_id)` gives what relays the streams of one answer. `settle`
    takes the bill of every request as it ends, see `Closing`. `stopping`: what is cancelled from now on is
    the gateway's own doing, and not a client that left.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        attempts_of: Callable[[Call, RequestRecord], Attempts],
        admission: Admission,
        racing: Racing,
        settle: Settle,
        relay_of: Callable[[Reply, str], StreamRelay],
    ) -> None:
        self._catalog = catalog
        self._attempts_of = attempts_of
        self._admission = admission
        self._racing = racing
        self._settle = settle
        self._relay_of = relay_of
        self.stopping = False

    async def serve(self, asked: Asked, reply: Reply, record: RequestRecord) -> None:
        """Serve one call. Raises `GatewayError`; cancellation closes every upstream connection at once."""
        caller = asked.caller
        call, route, wish = self._resolve(asked)
        admitted = await self._admission.admit(caller, call, asked.body, route=route)
        books = Books(
            Whose(
                request_id=record.request_id,
                account_id=caller.account.id,
                key_id=caller.key.id,
            ),
            admitted.prompt_tokens,
            admitted.tokens_of if call.stream else admitted.tokens_of_whole,
        )
        closing = Closing(caller, record, books, admitted, self._settle)
        relay = self._relay_of(reply, record.request_id)
        ending: Ending = "failed"
        try:
            limit = admitted.output_limit
            if limit is not None and not call.stream:  # a stream may come by more credit on its way
                call = msgspec.structs.replace(call, output_limit=limit)
            request = Request(
                call=call, route=route, wish=wish, hedge=self._hedging(asked, route), books=books
            )
            told = admitted.limit_headers()
            if told is None:
                told = await self._admission.headers(caller, route.id)
            reply.limit_headers = told
            await self._serve_in_time(request, asked.options, closing, relay, record)
        except GatewayError as error:
            await relay.tell(error)
            raise
        except Exception:
            raise  # a fault of ours: the customer does not pay for it
        except BaseException:
            ending = "failed" if self.stopping else "left"
            raise
        finally:
            closing.close_unless_whole(ending)

    async def limit_headers(self, caller: Caller, model: str | None) -> Headers:
        """Return the headers that tell how the limits stand, for an answer that took nothing.

        `model` as the client named it, `None` where it is not known.
        """
        route = self._catalog.resolve(model) if model is not None else None
        return await self._admission.headers(caller, route.id if route is not None else None)

    def count_tokens(self, caller: Caller, model: str, body: bytes) -> int:
        """Return about how many tokens a prompt is to a model. Raises `ModelNotFound`, `ModelNotAllowed`."""
        route = self._catalog.resolve(model)
        if route is None:
            raise ModelNotFound(model, self._catalog.nearest(model))
        self._admission.check_tier(caller, route.id)
        return self._admission.prompt_tokens(caller, body, route=route)

    def _hedging(self, asked: Asked, route: Route) -> Hedging:
        return hedging(
            asked=asked.options.hedge,
            key=asked.caller.key.hedge,
            route=route.hedge,
            general=self._racing.hedges,
        )

    def _resolve(self, asked: Asked) -> tuple[Call, Route, Wish]:
        """Return the call without what was meant for the gateway, and where it may go."""
        call = asked.call
        route = self._catalog.resolve(call.model)
        if route is None:
            raise ModelNotFound(call.model, self._catalog.nearest(call.model))
        self._admission.check_tier(asked.caller, route.id)
        if call.fields.keys().isdisjoint(WISH_FIELDS):
            return call, self._admission.sellable(asked.caller, route), NO_WISH
        try:
            wish = read_wish(call.fields)
            whole = wish.apply(self._catalog, route)
        except BadCall as error:
            raise InvalidRequest.from_bad_call(error) from error
        for model in wish.models:
            also = self._catalog.resolve(model)
            if also is not None:
                self._admission.check_tier(asked.caller, also.id)
        fields = {name: raw for name, raw in call.fields.items() if name not in WISH_FIELDS}
        sellable = self._admission.sellable(asked.caller, whole)
        return msgspec.structs.replace(call, fields=fields), sellable, wish

    async def _serve_in_time(
        self,
        request: Request,
        options: Options,
        closing: Closing,
        relay: StreamRelay,
        record: RequestRecord,
    ) -> None:
        total = request.route.candidates[0].timeouts.total
        with trio.CancelScope(deadline=trio.current_time() + total) as scope:
            await self._serve(request, options, closing, relay, record)
        if scope.cancelled_caught:
            raise UpstreamTimeout(f"The call took longer than {total:g} seconds.")

    async def _serve(
        self,
        request: Request,
        options: Options,
        closing: Closing,
        relay: StreamRelay,
        record: RequestRecord,
    ) -> None:
        if options.rescue and may_be_rescued(request.call, request.route):
            call = msgspec.structs.replace(request.call, keeps_beginning=True)
            request = msgspec.structs.replace(request, call=call)
        attempts = self._attempts_of(request.call, record)
        if request.call.stream:
            won = await _won(self._racing.race(request, attempts.open_stream, _discard), record)
            record.first_token_seconds = trio.current_time() - record.started
            relay.headers = _served_headers(record)
            streamed = StreamedAnswer(request, self._racing, attempts, closing, relay)
            await streamed.relay(won, record)
        else:
            whole = await _won(self._racing.race(request, attempts.answer, _keep), record)
            request.books.note(whole.run, whole.value.usage, whole.value.output_bytes, whole=True)
            whole.run.completed(trio.current_time())
            closing.close("whole")
            await relay.reply.answer(200, _json_headers(record), whole.value.body)


def _discard(stream: CommittedStream) -> None:
    stream.response.discard()


def _keep(_answer: Answer) -> None:
    """A whole answer holds nothing that must be let go of."""


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


def _served_headers(record: RequestRecord) -> list[tuple[bytes, bytes]]:
    """Say who served, after how many attempts, and whether a hedge won."""
    return [
        (b"x-syze-provider", (record.provider or "").encode()),
        (b"x-syze-attempts", str(record.attempts).encode()),
        (b"x-syze-hedged", b"true" if record.hedged else b"false"),
    ]


def _json_headers(record: RequestRecord) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), *_served_headers(record)]

"""The exchange: one request's life between the front and the upstreams.

Resolve the model, race the candidates, relay the winner, close the books, and note in the record what
happened. Deadlines are set here and nowhere below. An error that comes before the first byte leaves as an
exception for the front to render; after it, the client of a stream gets an error event, and the reply stays
unfinished so that the front breaks the connection (a cut stream is never presented as complete).
"""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final

import msgspec
import trio

from adapters.dialect import Answer, BadCall, Call
from router.accounts.caller import Caller
from router.admission.admission import Admission
from router.admission.admitted import Admitted
from router.catalog.catalog import Catalog
from router.catalog.routes import Route
from router.catalog.wishes import NO_WISH, WISH_FIELDS, Wish, read_wish
from router.errors import (
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    UpstreamTimeout,
)
from router.exchange.attempt import Attempts, Means
from router.exchange.books import Books, Ending, Whose
from router.exchange.closing import Closing, Settle
from router.exchange.hedge import Won
from router.exchange.options import Options, hedging
from router.exchange.overdue import Overdue
from router.exchange.racing import Racing, Request
from router.exchange.relay import StreamRelay
from router.exchange.reply import Headers, Reply
from router.exchange.rescue import may_be_rescued
from router.exchange.stream_attempt import CommittedStream, open_stream
from router.exchange.streaming import StreamedAnswer
from router.observe.record import RequestRecord

_JSON: Final = (b"content-type", b"application/json")
# What a client takes at once or not at all, so that nobody can make it last by taking it bit by bit.
_SMALL_BYTES: Final = 64 * 1024


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the front has understood of a request; `body` is all that the client sent."""

    caller: Caller
    call: Call
    body: bytes
    options: Options


class Exchange:
    """Serves calls against the catalog's candidates.

    `means` are what every attempt is made with. `relay_of(reply, request_id)` gives what relays the streams
    of one answer. `settle` takes the bill of every request as it ends, see `Closing`. `stopping`: what is
    cancelled from now on is the gateway's own doing, and not a client that left.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        means: Means,
        admission: Admission,
        racing: Racing,
        settle: Settle,
        relay_of: Callable[[Reply, str], StreamRelay],
    ) -> None:
        self._catalog = catalog
        self._means = means
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
        books = _books_of(record, caller, call, admitted)
        closing = Closing(caller, record, books, admitted, self._settle)
        relay = self._relay_of(reply, record.request_id) if call.stream else None
        total = route.tiers[0][0].timeouts.total
        ending: Ending = "failed"
        try:
            told = admitted.limit_headers()
            if told is None:
                told = await self._admission.headers(caller, route.id)
            reply.limit_headers = told
            has_scope = relay is not None or self._racing.drains.is_on
            now = trio.current_time()
            request = Request(
                call=_prepared(call, asked.options, route, admitted.output_limit),
                route=route,
                wish=wish,
                hedge=hedging(
                    asked=asked.options.hedge,
                    key=caller.key.hedge,
                    route=route.hedge,
                    general=self._racing.hedges,
                ),
                books=books,
                until=inf if has_scope else now + total,
            )
            if has_scope:
                with trio.CancelScope(deadline=now + total) as scope:
                    if relay is not None:
                        await self._serve_stream(request, closing, relay, record, now)
                    else:
                        await self._serve_whole(request, closing, reply, record, now)
                _check_in_time(scope)
            else:
                await self._serve_whole(request, closing, reply, record, now)
        except Overdue:
            late = UpstreamTimeout(f"The call took longer than {total:g} seconds.")
            if relay is not None:
                await relay.tell(late)
            raise late from None
        except GatewayError as error:
            if relay is not None:
                await relay.tell(error)
            raise
        except Exception:
            raise  # a fault of ours: the customer does not pay for it
        except BaseException:
            ending = "failed" if self.stopping else "left"
            raise
        finally:
            record.attempts = books.attempts
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

    async def _serve_whole(
        self,
        request: Request,
        closing: Closing,
        reply: Reply,
        record: RequestRecord,
        now: float,
    ) -> None:
        attempts = Attempts(request.call, self._means, self._means.trace_headers(record))
        won = await self._racing.race(request, attempts.answer, _keep).run(now)
        run, answer = won.run, won.value
        headers = _note_winner(record, won, request.books)
        request.books.note(run, answer.usage, answer.output_bytes, whole=True)
        run.completed(won.at)
        closing.close("whole")
        if reply.drops_who_stops_reading and len(answer.body) <= _SMALL_BYTES:
            await reply.answer(200, [_JSON, *headers], answer.body)
            return
        with trio.CancelScope(deadline=request.until) as scope:
            await reply.answer(200, [_JSON, *headers], answer.body)
        _check_in_time(scope)

    async def _serve_stream(
        self,
        request: Request,
        closing: Closing,
        relay: StreamRelay,
        record: RequestRecord,
        now: float,
    ) -> None:
        attempts = Attempts(request.call, self._means, self._means.trace_headers(record))
        won = await self._racing.race(request, partial(open_stream, attempts), _discard).run(now)
        record.first_token_seconds = won.at - record.started
        relay.headers = _note_winner(record, won, request.books)
        streamed = StreamedAnswer(request, self._racing, attempts, closing, relay)
        await streamed.relay(won, record)


def _books_of(record: RequestRecord, caller: Caller, call: Call, admitted: Admitted) -> Books:
    """Open the books of one request."""
    whose = Whose(request_id=record.request_id, account_id=caller.account.id, key_id=caller.key.id)
    tokens_of = admitted.tokens_of if call.stream else admitted.tokens_of_whole
    return Books(whose, admitted.prompt_tokens, tokens_of)


def _check_in_time(scope: trio.CancelScope) -> None:
    if scope.cancelled_caught:
        raise Overdue


def _prepared(call: Call, options: Options, route: Route, output_limit: int | None) -> Call:
    """Return the call as its attempts make it: whole, within what the caller can pay for."""
    if call.stream:  # it may come by more credit on its way
        if options.rescue and may_be_rescued(call, route):
            return msgspec.structs.replace(call, keeps_beginning=True)
    elif output_limit is not None:
        return msgspec.structs.replace(call, output_limit=output_limit)
    return call


def _discard(stream: CommittedStream) -> None:
    stream.response.discard()


def _keep(_answer: Answer) -> None:
    """A whole answer holds nothing that must be let go of."""


def _note_winner(
    record: RequestRecord, won: Won[Answer] | Won[CommittedStream], books: Books
) -> list[tuple[bytes, bytes]]:
    """Note who won, and return the headers that say so: after how many attempts, and whether a hedge won."""
    endpoint = won.run.live.endpoint
    record.provider = endpoint.provider
    record.upstream_model = endpoint.target.upstream_model
    record.upstream_host = endpoint.origin.host
    record.upstream_port = endpoint.origin.port
    record.hedged = won.hedge
    return [
        (b"x-syze-provider", endpoint.provider.encode()),
        (b"x-syze-attempts", b"%d" % books.attempts),
        (b"x-syze-hedged", b"true" if won.hedge else b"false"),
    ]

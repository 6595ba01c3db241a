"""The data plane's handlers: authenticate, read, hand to the exchange, and answer for every outcome.

They know no web framework: any front that can give headers, a body and a reply may call them. Each request
has one record, opened first and ended last, whatever happens between.
"""

import msgspec
import trio

from adapters.anthropic.request import decode_count
from adapters.dialect import BadCall
from router.accounts.caller import Caller
from router.accounts.keyring import KeyRing
from router.errors import ClientFault, GatewayBug, GatewayError, InvalidRequest
from router.exchange.exchange import Asked, Exchange
from router.exchange.options import NO_OPTIONS, read_options
from router.exchange.reply import Reply
from router.front.body import BodyLimits, BodySource, ClientGone, drain_body, read_body
from router.front.faces import render
from router.front.heading import Heading
from router.observe.observer import Observer
from router.observe.record import Endpoint, Outcome, RequestRecord


class Endpoints:
    """The handlers of the data plane, for one key ring, exchange and observer."""

    def __init__(
        self, *, ring: KeyRing, exchange: Exchange, observer: Observer, body_limits: BodyLimits
    ) -> None:
        self.body_limits = body_limits
        self._ring = ring
        self._exchange = exchange
        self._observer = observer
        self.stopping = False

    async def serve(
        self,
        endpoint: Endpoint,
        heading: Heading,
        body: BodySource,
        reply: Reply,
        *,
        request_id: str,
        client_host: str | None,
    ) -> None:
        """Serve one request to its end. Every outcome but cancellation is answered here, none is raised."""
        record = self._observer.begin(
            request_id,
            endpoint,
            client_host=client_host,
            traceparent=heading.traceparent,
        )
        try:
            caller = heading.credentials.identify(self._ring, "inference")
            record.key_id = caller.key.id
            try:
                content = body.body_at_hand(self.body_limits.most_bytes)
                if content is None:
                    content = await read_body(body, self.body_limits)
                if endpoint == "count_tokens":
                    await self._count(caller, content, reply, record)
                else:
                    asked = _asked(heading, content, caller, record)
                    await self._exchange.serve(asked, reply, record)
            except GatewayError:
                if not reply.started and endpoint != "count_tokens":
                    model = record.model
                    reply.limit_headers = await self._exchange.limit_headers(caller, model)
                raise
            record.status, record.outcome = 200, "ok"
        except ClientGone:
            record.outcome = "client_gone"
        except GatewayError as error:
            await self._refuse(error, body, reply, record)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and we a log line
            record.exception = error
            await self._refuse(GatewayBug(request_id), body, reply, record)
        except BaseException as error:
            if _is_cancellation(error):
                record.outcome = "shutdown" if self.stopping else "client_gone"
            raise
        finally:
            record.sent_bytes = reply.sent_bytes
            self._observer.end(record)

    async def _count(
        self, caller: Caller, content: bytes, reply: Reply, record: RequestRecord
    ) -> None:
        """Tell how many tokens a prompt probably is; nobody is asked, and nothing is charged."""
        try:
            record.model = decode_count(content)
        except BadCall as error:
            raise InvalidRequest.from_bad_call(error) from error
        tokens = self._exchange.count_tokens(caller, record.model, content)
        told = msgspec.json.encode({"input_tokens": tokens})
        await reply.answer(200, [(b"content-type", b"application/json")], told)

    async def _refuse(
        self, error: GatewayError, body: BodySource, reply: Reply, record: RequestRecord
    ) -> None:
        status, headers, content = render(error, record.endpoint, record.request_id)
        record.error_code = error.to_body().code
        record.outcome = _outcome(error, started=reply.started)
        if reply.started:
            record.status = 200
            return  # unfinished, so the front breaks the connection
        record.status = status
        try:
            await drain_body(body, self.body_limits)
            await reply.answer(status, headers, content)
        except ClientGone:
            record.outcome = "client_gone"


def _asked(heading: Heading, content: bytes, caller: Caller, record: RequestRecord) -> Asked:
    """Understand a request, and note in the record what it is. Raises `InvalidRequest`."""
    try:
        call = heading.decode(
            content, request_id=record.request_id, asked_at=int(record.started_at)
        )
    except BadCall as error:
        raise InvalidRequest.from_bad_call(error) from error
    options = read_options(heading.headers) if heading.asks else NO_OPTIONS
    record.model = call.model
    record.stream = call.stream
    return Asked(caller=caller, call=call, body=content, options=options)


def _is_cancellation(error: BaseException) -> bool:
    """Whether nothing but cancellation stopped a request; nurseries below may have wrapped it."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)


def _outcome(error: GatewayError, *, started: bool) -> Outcome:
    if isinstance(error, GatewayBug):
        return "bug"
    if started:
        return "cut"
    return "client_error" if isinstance(error, ClientFault) else "upstream_error"

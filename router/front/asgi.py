"""The data plane as a bare ASGI application: no request or response objects of a framework.

Quart serves everything else; its `asgi_http_class` hands the few hot paths to this module (see
`router.front.app`). When the client leaves, the handler is cancelled and with it every upstream attempt:
by the connection, where it is one of our own (`Offer`), else by a watcher of the client, in a nursery of
the request.
"""

from collections.abc import Sequence
from typing import Protocol, cast

import trio
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
    HTTPScope,
)

from router.front.http1.message import Likeness

Headers = Sequence[tuple[bytes, bytes]]


class Offer(Protocol):
    """What a connection of our own offers for one request beyond ASGI (`router.front.http1.turn.Turn`)."""

    likeness: Likeness
    """What the request's head has in common with others."""
    sends_now: bool
    """Whether pieces of a streamed answer can be sent without waiting."""

    def cancel_on_leave(self) -> None:
        """From now on, cancel the task of the request when the client leaves before its answer is whole."""

    def body_at_hand(self) -> bytes | None:
        """Return the whole body if all of it has come; `None`, and nothing is taken, if it has not."""

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer."""

    def send_now(self, data: bytes) -> bool:
        """Frame a piece and hand it to the socket; tell whether all of it went out."""

    async def flush(self) -> None:
        """Send what did not."""


class ClientGone(Exception):
    """The client left before its request was whole; there is nobody to answer."""


class AsgiReply:
    """`router.exchange.reply.Reply` over an ASGI send callable.

    `common_headers` go out with every answer (request id, CORS). `finished` turns true as the last piece
    is handed over: from then on the server reports the client as gone, as it does after every answer.

    `offer` is the server's, where it does more than ASGI has words for.
    """

    __slots__ = (
        "_common_headers",
        "_offer",
        "_send",
        "finished",
        "limit_headers",
        "sent_bytes",
        "started",
    )

    def __init__(
        self,
        send: ASGISendCallable,
        common_headers: Headers,
        *,
        offer: Offer | None = None,
    ) -> None:
        self._send = send
        self._offer = offer
        self._common_headers = common_headers
        self.limit_headers: Headers = ()
        self.started = False
        self.finished = False
        self.sent_bytes = 0

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of a streamed answer."""
        self.started = True
        event: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": status,
            "headers": [*headers, *self.limit_headers, *self._common_headers],
        }
        self.limit_headers = self._common_headers = ()  # a stream may be open for long
        await self._send(event)

    async def send(self, data: bytes) -> None:
        """Send a piece of the body; waits while the client does not take it."""
        self.sent_bytes += len(data)
        await self._send(_body(data, more=True))

    @property
    def can_send_now(self) -> bool:
        """Whether the server offers it, and the answer has begun."""
        return self._offer is not None and self._offer.sends_now and self.sent_bytes > 0

    def send_now(self, data: bytes) -> bool:
        """Send a piece of the body without waiting; whether all of it went out, or `flush` must follow."""
        assert self._offer is not None  # noqa: S101 - the caller has asked `can_send_now`
        self.sent_bytes += len(data)
        return self._offer.send_now(data)

    async def flush(self) -> None:
        """Send what is left of the pieces; waits while the client does not take it."""
        assert self._offer is not None  # noqa: S101 - nothing is left where nothing was sent so
        await self._offer.flush()

    async def finish(self) -> None:
        """End the body cleanly."""
        self.finished = True
        await self._send(_body(b"", more=False))

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, with its content-length."""
        headers = [*headers, (b"content-length", b"%d" % len(body))]
        if self._offer is not None:
            self.started = self.finished = True
            self.sent_bytes += len(body)
            await self._offer.send_whole(
                status, [*headers, *self.limit_headers, *self._common_headers], body
            )
            return
        await self.start(status, headers)
        self.sent_bytes += len(body)
        self.finished = True
        await self._send(_body(body, more=False))


def _body(data: bytes, *, more: bool) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def watch_client(
    receive: ASGIReceiveCallable, reply: AsgiReply, request_scope: trio.CancelScope
) -> None:
    """Cancel `request_scope` when the client leaves before its answer is whole."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if not reply.finished:
        request_scope.cancel()


class UndisturbedEnd:
    """A pair of ASGI callables between a server and a framework: the end of an answer is never interrupted.

    hypercorn reports the client as gone after every answer, from within the send of its last piece, and
    then puts the connection in order. A framework that cancels the request at that report, as quart-trio
    does, would cancel just that work, and the connection would be neither used again nor closed.
    """

    def __init__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        self._receive = receive
        self._send = send
        self._ending = False
        self._body: bytes | None = b""

    def give_body(self, body: bytes) -> None:
        """Let `receive_again` tell of this body, which has been read already."""
        self._body = body

    async def receive_again(self) -> ASGIReceiveEvent:
        """Like `receive` once the body has been read: the one that was given first, or an empty one."""
        body, self._body = self._body, None
        if body is None:
            return await self.receive()
        await trio.lowlevel.checkpoint()
        return {"type": "http.request", "body": body, "more_body": False}

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message; a client that has its answer is not reported as gone."""
        message = await self._receive()
        if message["type"] == "http.disconnect" and self._ending:
            await trio.sleep_forever()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Pass a message on to the server."""
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._ending = True
        await self._send(message)


def offer_of(scope: HTTPScope) -> Offer | None:
    """Return what the client's connection offers beyond ASGI, `None` where it is no connection of ours."""
    return cast("Offer | None", _state(scope).get("offer"))


def _state(scope: HTTPScope) -> dict[str, object]:
    return cast("dict[str, object]", scope.get("state", {}))

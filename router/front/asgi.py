"""The data plane as a bare ASGI application: no request or response objects of a framework.

Quart serves everything else; its `asgi_http_class` hands the few hot paths to this module (see
`router.front.app`). One nursery per request holds the handler and a watcher of the client: when the
client leaves, the watcher cancels the handler and with it every upstream attempt.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

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

Headers = Sequence[tuple[bytes, bytes]]
SendNow = Callable[[bytes], bool]
Flush = Callable[[], Awaitable[None]]


class ClientGone(Exception):
    """The client left before its request was whole; there is nobody to answer."""


class AsgiReply:
    """`router.exchange.reply.Reply` over an ASGI send callable.

    `common_headers` go out with every answer (request id, CORS). `finished` turns true as the last piece
    is handed over: from then on the server reports the client as gone, as it does after every answer.

    `send_now` and `flush` are the server's, where it offers to send pieces of a streamed answer without
    waiting: the first frames a piece and hands it to the socket, and tells whether all of it went out; the
    second sends what did not.
    """

    __slots__ = (
        "_common_headers",
        "_flush",
        "_send",
        "_send_now",
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
        send_now: SendNow | None = None,
        flush: Flush | None = None,
    ) -> None:
        self._send = send
        self._send_now = send_now
        self._flush = flush
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
        return self._send_now is not None and self._flush is not None and self.sent_bytes > 0

    def send_now(self, data: bytes) -> bool:
        """Send a piece of the body without waiting; whether all of it went out, or `flush` must follow."""
        assert self._send_now is not None  # noqa: S101 - the caller has asked `can_send_now`
        self.sent_bytes += len(data)
        return self._send_now(data)

    async def flush(self) -> None:
        """Send what is left of the pieces; waits while the client does not take it."""
        assert self._flush is not None  # noqa: S101 - nothing is left where nothing was sent so
        await self._flush()

    async def finish(self) -> None:
        """End the body cleanly."""
        self.finished = True
        await self._send(_body(b"", more=False))

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, with its content-length."""
        await self.start(status, [*headers, (b"content-length", str(len(body)).encode())])
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


def abort_connection(scope: HTTPScope) -> None:
    """Close the client's connection at once, where the server offers that (`router.front.server`).

    Over HTTP/1.1 an unfinished answer already ends in a visible break; HTTP/2 has no such sign in the
    server library, so the connection itself must break.
    """
    abort = connection_offer(scope, "abort_connection")
    if abort is not None:
        abort()


def connection_offer(scope: HTTPScope, name: str) -> Callable[..., Any] | None:
    """Return what the client's connection offers beyond ASGI, `None` where it does not.

    `abort_connection()` breaks it at once. `cancel_on_leave(scope)` cancels a scope when the client leaves
    before its answer is whole. `send_now(data)` and `await flush()` send pieces of a streamed answer
    (`router.front.http1.turn`).
    """
    offer = cast("dict[str, object]", scope.get("state", {})).get(name)
    return offer if callable(offer) else None

"""What the front needs over bare ASGI: a request's body, the reply to it, and whether its client has left.

This is how hypercorn brings what it serves, and how the control routes read their bodies. When the client
leaves, the request is cancelled, and with it every upstream attempt, by a watcher of the client in a nursery
of the request; a connection of our own does that by itself (`router.front.http1.turn`).
"""

from collections.abc import Callable, Sequence

import trio
from hypercorn.typing import (
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    ASGISendEvent,
    HTTPResponseBodyEvent,
    HTTPResponseStartEvent,
)

from router.front.body import ClientGone

Headers = Sequence[tuple[bytes, bytes]]


class AsgiBody:
    """`router.front.body.BodySource` over an ASGI receive callable.

    `on_whole` is called once the last piece is read: from then on the next message is the client's leaving.
    """

    __slots__ = ("_on_whole", "_receive", "body_ended")

    def __init__(
        self, receive: ASGIReceiveCallable, *, on_whole: Callable[[], object] | None = None
    ) -> None:
        self._receive = receive
        self._on_whole = on_whole
        self.body_ended = False

    def body_at_hand(self, most_bytes: int) -> bytes | None:  # noqa: ARG002 - whatever its length
        """Return `None`: ASGI has no word for that."""
        return None

    async def next_piece(self) -> bytes:
        """Return the next piece. Raises `ClientGone` when the client leaves before the body's end."""
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if message["type"] != "http.request":
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        self.body_ended = not message.get("more_body", False)
        return message.get("body", b"")

    def cancel_on_leave(self) -> None:
        """Let somebody wait for the client's leaving, where that was wanted."""
        if self._on_whole is not None:
            self._on_whole()


class AsgiReply:
    """`router.exchange.reply.Reply` over an ASGI send callable.

    `common_headers` go out with every answer (request id, CORS). `finished` turns true as the last piece
    is handed over: from then on the server reports the client as gone, as it does after every answer.
    """

    __slots__ = (
        "_common_headers",
        "_send",
        "finished",
        "limit_headers",
        "sent_bytes",
        "started",
    )

    drops_who_stops_reading = False  # of the server behind ASGI nothing is known

    def __init__(self, send: ASGISendCallable, common_headers: Headers) -> None:
        self._send = send
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
        """Whether pieces can be sent without waiting: ASGI has no word for that."""
        return False

    def send_now(self, data: bytes) -> bool:
        """Raise `RuntimeError`: over ASGI every piece may have to wait."""
        raise RuntimeError(f"{len(data)} bytes cannot be sent over ASGI without waiting")

    async def flush(self) -> None:
        """Do nothing, for nothing is ever kept."""
        await trio.lowlevel.checkpoint()

    async def finish(self) -> None:
        """End the body cleanly."""
        self.finished = True
        await self._send(_body(b"", more=False))

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, with its content-length."""
        await self.start(status, [*headers, (b"content-length", b"%d" % len(body))])
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

"""One request and its answer on a connection, as an ASGI application sees them.

The application runs in the connection's own task. Its head waits for the first piece of the body, so that
both go out in one write, a whole answer included. That the client has left is told from outside, by
`leave`: it cancels the connection's task, if the application has asked for that, and ends the wait of
`receive`.

Sending to a client that is gone is no error: the application hears of it by cancellation or by
`http.disconnect`, and what it sends until then is dropped.
"""

from collections.abc import Callable
from typing import Final

import trio
from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent

from router.errors import MalformedRequest
from router.front.http1.message import CONTINUE, Headers, Http1Parser, RequestHead
from router.front.http1.wire import Wire

_SENDS_WITHOUT_A_WAIT: Final = 16  # then the others have their turn


class Turn:
    """The callables of one request. `closing` tells whether the server ends, `date` gives that header,
    `cancel` cancels the connection's task.

    `sends_now`: whether `send_now` can be used, which it can be on plain TCP only.
    `started`: the answer's head has been written, or tried to be. `answered`: so has its end.
    `refusal`: why the request's body could not be read.
    """

    __slots__ = (
        "_ahead",
        "_body_told",
        "_cancel",
        "_cancels_on_leave",
        "_closing",
        "_date",
        "_head",
        "_http",
        "_over",
        "_owes_continue",
        "_sends",
        "_wire",
        "answered",
        "gone",
        "likeness",
        "refusal",
        "sends_now",
        "started",
    )

    def __init__(
        self,
        http: Http1Parser,
        wire: Wire,
        request: RequestHead,
        *,
        closing: Callable[[], bool],
        date: Callable[[], tuple[bytes, bytes]],
        cancel: Callable[[], None],
    ) -> None:
        self._http = http
        self._wire = wire
        self._closing = closing
        self._date = date
        self._cancel = cancel
        self._ahead: list[bytes] = []  # a deque is never small, and hardly ever is anything in it
        self._body_told = False
        self._owes_continue = request.expects_continue
        self._head: tuple[int, Headers] | None = None
        self._sends = 0
        self._over: trio.Event | None = None
        self.likeness = request.likeness
        self.sends_now = wire.is_plain
        self._cancels_on_leave = False
        self.started = False
        self.answered = False
        self.gone = False
        self.refusal: MalformedRequest | None = None

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece of the body; after the last, wait until the client leaves or is answered."""
        if not self._body_told:
            piece = await self._next_piece()
            if piece is None:
                self._body_told = True
                self.leave()
                return {"type": "http.disconnect"}
            self._body_told = not self._ahead and self._http.request_ended
            return {"type": "http.request", "body": piece, "more_body": not self._body_told}
        if not self.gone and not self.answered:
            self._over = self._over or trio.Event()
            await self._over.wait()
        return {"type": "http.disconnect"}

    def body_at_hand(self) -> bytes | None:
        """Return the whole body if all of it has come; `None`, and nothing is taken, if it has not."""
        if self._body_told or not self._is_whole():
            return None
        self._body_told = True
        body = self._ahead.pop() if len(self._ahead) == 1 else b"".join(self._ahead)
        self._ahead.clear()
        return body

    async def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, like `send` with its two messages."""
        self._head = status, headers
        await self._send_piece(body, more=False)

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer; waits while the client does not take it."""
        if message["type"] == "http.response.start":
            self._head = int(message["status"]), list(message["headers"])
            return
        if message["type"] != "http.response.body":
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        await self._send_piece(message.get("body", b""), more=message.get("more_body", False))

    async def _send_piece(self, data: bytes, *, more: bool) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        framed = self._framed(data, more=more)
        self._sends += 1
        if not self._wire.write_now(framed) or self.gone:
            await self.flush()
        elif self._sends % _SENDS_WITHOUT_A_WAIT == 0:
            await trio.lowlevel.checkpoint()

    def send_now(self, data: bytes) -> bool:
        """Send a piece of the body without waiting; `False` when a part of it is left for `flush`.

        To a client that is gone nothing is sent, and the result is always `False`.
        """
        if self.gone:
            return False
        framed = self._http.encode_body(data) if self.started else self._with_head(data)
        return self._wire.write_now(framed)

    async def flush(self) -> None:
        """Write out what is left, or learn, by cancellation, that the client is gone."""
        if not self.gone:
            try:
                await self._wire.flush()
            except trio.BrokenResourceError:
                self.leave()
        if self.gone:
            await trio.lowlevel.checkpoint()

    def cancel_on_leave(self) -> None:
        """From now on, cancel the request if the client leaves before its answer is whole.

        At once if it has left. The whole task is cancelled, since nothing can follow on the connection.
        """
        self._cancels_on_leave = True
        if self.gone:
            self.leave()

    def leave(self) -> None:
        """Take note that the client has left, or broke the connection."""
        self.gone = True
        if self._cancels_on_leave and not self.answered:
            self._cancel()
        self._end_wait()

    def _framed(self, data: bytes, *, more: bool) -> bytes:
        framed = self._http.encode_body(data) if self.started else self._with_head(data)
        if more:
            return framed
        framed += self._http.encode_end()
        self.answered = True
        self._end_wait()
        return framed

    def _with_head(self, data: bytes) -> bytes:
        if self._head is None:
            raise RuntimeError("the answer's body was sent before its head")
        status, headers = self._head
        close = self._closing() or not self._is_whole()
        head = self._http.encode_head(status, [*headers, self._date()], close=close)
        self.started = True
        self._head = None
        return head + self._http.encode_body(data)

    def _is_whole(self) -> bool:
        """Whether all of the request has arrived, so that another may follow it."""
        try:
            while not self._http.request_ended and (piece := self._http.next_body()):
                self._ahead.append(piece)
        except MalformedRequest as error:
            self.refusal = error
        return self.refusal is None and self._http.request_ended

    async def _next_piece(self) -> bytes | None:
        """Return the next piece of the body, `None` when the client leaves before its end."""
        if self._ahead:
            return self._ahead.pop(0)
        piece: bytes | None = None
        try:
            while self.refusal is None and (piece := self._http.next_body()) is None:
                data = await self._more()
                if not data:
                    return None
                self._http.receive_data(data)
        except MalformedRequest as error:
            self.refusal = error
        return piece

    async def _more(self) -> bytes:
        if self._owes_continue and not self.started:
            self._owes_continue = False
            self._wire.write_now(CONTINUE)
            await self.flush()
        return await self._wire.receive()

    def _end_wait(self) -> None:
        if self._over is not None:
            self._over.set()

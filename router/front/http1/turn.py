"""One request and its answer on a connection: a body to be read, and the reply to it.

Who serves runs in the connection's own task. The head waits for the first piece of the body, so that both go
out in one write, a whole answer included. That the client has left is told from outside, by `leave`: it
cancels the connection's task, if that has been asked for, and ends the wait of `until_over`.

Sending to a client that is gone is no error: whoever serves hears of it by cancellation, or where it waits
for that, and what is sent until then is dropped.
"""

from collections.abc import Callable
from typing import ClassVar, Final

import msgspec
import trio

from router.errors import MalformedRequest
from router.front.body import ClientGone
from router.front.http1.message import CONTINUE, Headers, Http1Parser, RequestHead
from router.front.http1.usual import UsualHeads
from router.front.http1.wire import Wire

_SENDS_WITHOUT_A_WAIT: Final = 16  # then the others have their turn


class Turn(msgspec.Struct, eq=False):
    """`router.exchange.reply.Reply` and `router.front.body.BodySource` of one request.

    `_cancel` cancels the connection's task. `common_headers` go out with every answer to such a request
    (CORS), `own_headers` with this one (its id).

    `begun`: the answer's head has been written, or tried to be. `answered`: so has its end. `gone`: the
    client is. `owes_flush`: a part of what was sent is still here. `refusal`: why the request's body could
    not be read.
    """

    _http: Http1Parser
    _wire: Wire
    _request: RequestHead
    _heads: UsualHeads
    _cancel: Callable[[], None]
    _ahead: bytes = b""
    _sent_continue: bool = False
    _head: tuple[int, Headers] | None = None
    _sends: int = 0
    _over: trio.Event | None = None
    _cancels_on_leave: bool = False
    common_headers: Headers = ()
    own_headers: Headers = ()
    limit_headers: Headers = ()
    body_ended: bool = False
    started: bool = False
    sent_bytes: int = 0
    begun: bool = False
    answered: bool = False
    gone: bool = False
    owes_flush: bool = False
    refusal: MalformedRequest | None = None

    drops_who_stops_reading: ClassVar[bool] = True

    # The request

    def body_at_hand(self, most_bytes: int) -> bytes | None:
        """Return the whole body if all of it has come, and from then on cancel the request on leave.

        `None`, and nothing is taken, if it has not, or is longer than that.
        """
        if self.body_ended or not self._is_whole() or len(self._ahead) > most_bytes:
            return None
        self.body_ended = self._cancels_on_leave = True
        if self.gone:
            self.leave()
        body, self._ahead = self._ahead, b""
        return body

    async def next_piece(self) -> bytes:
        """Return the next piece of the body. Raises `ClientGone` when the client leaves before its end."""
        piece = self._ahead or await self._read_piece()
        self._ahead = b""
        if piece is None:
            self.body_ended = True
            self.leave()
            raise ClientGone
        self.body_ended = self._http.request_ended
        return piece

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

    async def until_over(self) -> None:
        """Wait until the client leaves or is answered."""
        if not self.gone and not self.answered:
            self._over = self._over or trio.Event()
            await self._over.wait()

    # The answer

    async def start(self, status: int, headers: Headers) -> None:
        """Take the head of a streamed answer; it goes out with the first piece."""
        self.started = True
        told = [*headers, *self.common_headers, *self.limit_headers, *self.own_headers]
        self._head = status, told
        self.limit_headers = self.own_headers = ()  # a stream may be open for long

    async def send(self, data: bytes) -> None:
        """Send a piece of the body; waits while the client does not take it."""
        await self.send_piece(data, more=True)

    async def finish(self) -> None:
        """End the body cleanly."""
        await self.send_piece(b"", more=False)

    async def send_piece(self, data: bytes, *, more: bool) -> None:
        """Send a piece of the body, which is the last unless there is `more`; waits as `send` does."""
        self.sent_bytes += len(data)
        await trio.lowlevel.checkpoint_if_cancelled()
        framed = self._http.answer.body(data) if self.begun else self._with_head(data)
        if not more:
            framed += self._http.answer.end()
            self.answered = True
            self._end_wait()
        self._sends += 1
        self.owes_flush = not self._wire.write_now(framed)
        if self.owes_flush or self.gone:
            await self.flush()
        elif self._sends % _SENDS_WITHOUT_A_WAIT == 0:
            await trio.lowlevel.checkpoint()

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, with its content-length."""
        self.started = True
        self.sent_bytes += len(body)
        await trio.lowlevel.checkpoint_if_cancelled()
        close = self._heads.closing or not (self._http.request_ended or self._is_whole())
        usual = self._heads.of(status, (*headers, *self.common_headers))
        own = [*self.limit_headers, *self.own_headers]
        framed = self._http.answer.whole(usual, own, body, close=close)
        self.begun = self.answered = True
        if self._over is not None:
            self._over.set()
        is_out = self._wire.write_now(framed) if close else self._wire.write_soon(framed)
        self.owes_flush = not is_out
        if self.owes_flush or self.gone:
            await self.flush()

    @property
    def can_send_now(self) -> bool:
        """Whether the answer has begun, on plain TCP, so that pieces of it can be sent without waiting."""
        return self.begun and self._wire.is_plain

    def send_now(self, data: bytes) -> bool:
        """Send a piece of the body without waiting; `False` when a part of it is left for `flush`.

        To a client that is gone nothing is sent, and the result is always `False`.
        """
        self.sent_bytes += len(data)
        if self.gone:
            return False
        framed = self._http.answer.body(data) if self.begun else self._with_head(data)
        is_out = self._wire.write_now(framed)
        self.owes_flush = not is_out
        return is_out

    async def flush(self) -> None:
        """Write out what is left, or learn, by cancellation, that the client is gone."""
        if not self.gone:
            try:
                await self._wire.flush()
            except trio.BrokenResourceError:
                self.leave()
        self.owes_flush = False
        if self.gone:
            await trio.lowlevel.checkpoint()

    def _with_head(self, data: bytes) -> bytes:
        if self._head is None:
            raise RuntimeError("the answer's body was sent before its head")
        status, headers = self._head
        close = self._heads.closing or not self._is_whole()
        head = self._http.answer.head(status, [*headers, self._heads.date()], close=close)
        self.begun = True
        self._head = None
        return head + self._http.answer.body(data)

    def _is_whole(self) -> bool:
        """Whether all of the request has arrived, so that another may follow it."""
        try:
            if not self._http.request_ended:
                self._ahead += self._http.next_body() or b""
        except MalformedRequest as error:
            self.refusal = error
        return self.refusal is None and self._http.request_ended

    async def _read_piece(self) -> bytes | None:
        """Read the next piece of the body; `None` where there is none, since it broke off or is no body."""
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
        if self._request.expects_continue and not (self._sent_continue or self.begun):
            self._sent_continue = True
            self._wire.write_now(CONTINUE)
            await self.flush()
        return await self._wire.receive()

    def _end_wait(self) -> None:
        if self._over is not None:
            self._over.set()

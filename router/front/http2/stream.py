"""One request and its answer on a stream, as an ASGI application sees them.

The head waits for the first piece of the body, so that both go out in one write. That the client has left
is told from outside, by `leave`, and by `http.disconnect` to the application; what it sends from then on is
dropped, which is no error. An answer that stays unfinished ends in a reset of its stream, which no client
takes for an end, and the other streams of the connection know nothing of it.
"""

from collections.abc import Iterable

import trio
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent

from router.errors import GatewayError
from router.front.http1.answer import BODYLESS
from router.front.http1.date import DateHeader
from router.front.http2.head import Header, answer_head
from router.front.http2.output import Output


class Http2Stream:
    """The callables of one request; frames that concern it are told by the connection.

    `whole`: the request has come to its end. `answered`: so has its answer. `gone`: the client has reset
    the stream, or left, or was given up.
    """

    __slots__ = (
        "_body_told",
        "_date",
        "_head",
        "_heard",
        "_http",
        "_is_head",
        "_output",
        "_owed_bytes",
        "_owes_continue",
        "_pieces",
        "_without_body",
        "answered",
        "gone",
        "moved",
        "number",
        "started",
        "whole",
    )

    def __init__(
        self,
        number: int,
        *,
        http: H2Connection,
        output: Output,
        fields: Iterable[Header],
        date: DateHeader,
    ) -> None:
        self.number = number
        self._http = http
        self._output = output
        self._date = date
        known = dict(fields)
        self._is_head = known.get(b":method") == b"HEAD"
        self._owes_continue = known.get(b"expect", b"").lower() == b"100-continue"
        self._head: tuple[int, Iterable[Header]] | None = None
        self._without_body = False
        self._pieces: list[bytes] = []
        self._owed_bytes = 0  # of the client's windows, for what was not told yet
        self._body_told = False
        self._heard = trio.lowlevel.ParkingLot()
        self.moved = trio.lowlevel.ParkingLot()
        self.whole = False
        self.started = False
        self.answered = False
        self.gone = False

    # What the application calls.

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece of the body; after the last, wait until the client leaves or is answered."""
        if self._owes_continue and not (self._pieces or self.whole or self.started or self.gone):
            self._http.send_headers(self.number, [(b":status", b"100")])
            self._output.go()
        self._owes_continue = False
        await trio.lowlevel.checkpoint_if_cancelled()
        while not (self.gone or (self.answered if self._body_told else self._has_body)):
            await self._heard.park()
        if self.gone or self._body_told:
            return {"type": "http.disconnect"}
        body = b"".join(self._pieces)
        self._body_told = self.whole
        self._open_window()
        return {"type": "http.request", "body": body, "more_body": not self._body_told}

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer; waits while the client does not take it.

        Raises `ValueError` for a head that is not valid HTTP.
        """
        if message["type"] == "http.response.start":
            self._head = int(message["status"]), message["headers"]
            return
        if message["type"] != "http.response.body":
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        if self.gone or self.answered:
            await trio.lowlevel.checkpoint()
            return
        if not self.started:
            self._start()
        data = b"" if self._without_body else message.get("body", b"")
        await self._send_piece(data, end=not message.get("more_body", False))

    # What the connection tells.

    def take(self, data: bytes, window_bytes: int) -> None:
        """A piece of the body has come, which took so much of the windows."""
        self._owed_bytes += window_bytes
        if self.answered:  # and nobody asks for the body any more
            self._open_window()
            return
        self._pieces.append(data)
        self._heard.unpark_all()

    def end(self) -> None:
        """The request has come to its end."""
        self.whole = True
        self._heard.unpark_all()

    def leave(self) -> None:
        """The client has gone, or will be told nothing more."""
        self.gone = True
        self._heard.unpark_all()
        self.moved.unpark_all()
        self._output.stir()

    async def refuse(self, error: GatewayError, request_id: str) -> None:
        """Answer in the application's place."""
        status, headers, body = error.render()
        told = [
            *headers,
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", request_id.encode()),
        ]
        self._head = status, told
        await self.send({"type": "http.response.body", "body": body, "more_body": False})

    def close(self) -> None:
        """The application has returned: end what it left open, in a way that cannot be misread."""
        if not self.answered:
            self.reset(ErrorCodes.INTERNAL_ERROR)
        elif not self.whole:
            self.reset(ErrorCodes.NO_ERROR)  # nobody reads the rest (RFC 9113, section 8.1)
        self._open_window()

    def reset(self, code: ErrorCodes) -> None:
        """Reset the stream, unless it has ended."""
        if not self.gone and not (self.answered and self.whole):
            self._http.reset_stream(self.number, code)
            self._output.go()

    @property
    def _has_body(self) -> bool:
        return bool(self._pieces) or self.whole

    def _start(self) -> None:
        if self._head is None:
            raise RuntimeError("the answer's body was sent before its head")
        status, headers = self._head
        fields = answer_head(status, headers, self._date.now())
        self._without_body = self._is_head or status in BODYLESS
        self._http.send_headers(self.number, fields)
        self.started = True
        self._head = None

    async def _send_piece(self, data: bytes, *, end: bool) -> None:
        try:
            await self._output.send_body(self, data, end=end)
        except trio.TooSlowError:
            self.reset(ErrorCodes.CANCEL)
            self.leave()
        if self.answered:
            self._heard.unpark_all()

    def _open_window(self) -> None:
        """Let the client send as much again as was taken."""
        self._pieces.clear()
        if self._owed_bytes:
            self._http.acknowledge_received_data(self._owed_bytes, self.number)
            self._output.go()
        self._owed_bytes = 0

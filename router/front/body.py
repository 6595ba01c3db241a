"""Reading a request's body within its limits of size and time.

A body over the limit is read on for a while and thrown away before the refusal goes out: a server that
answers and closes while the client still writes makes the client see a reset instead of the answer.
"""

from collections.abc import Callable
from typing import Final

import trio
from hypercorn.typing import ASGIReceiveCallable

from router.errors import BodyTooLarge, BodyTooSlow
from router.front.asgi import ClientGone

DRAIN_SECONDS: Final = 5.0
DRAIN_BODIES: Final = 4  # of the largest allowed body: beyond that the connection may as well break


class BodyReader:
    """The body of one request, at most `max_bytes` long, read within `seconds`.

    `on_whole` is called once the last piece is read: from then on the next message is the client's leaving.
    `at_hand` returns the whole body where that has come already, which most bodies have.
    """

    __slots__ = ("_at_hand", "_max_bytes", "_on_whole", "_receive", "_seconds", "_whole")

    def __init__(
        self,
        receive: ASGIReceiveCallable,
        *,
        max_bytes: int,
        seconds: float,
        on_whole: Callable[[], object],
        at_hand: Callable[[], bytes | None] | None = None,
    ) -> None:
        self._receive = receive
        self._on_whole = on_whole
        self._at_hand = at_hand
        self._max_bytes = max_bytes
        self._seconds = seconds
        self._whole = False

    async def read(self) -> bytes:
        """Return the whole body. Raises `ClientGone`, and `BodyTooLarge` or `BodyTooSlow`: then `drain`."""
        whole = self._at_hand() if self._at_hand is not None else None
        if whole is not None:
            self._note_whole()
            if len(whole) > self._max_bytes:
                raise BodyTooLarge(self._max_bytes)
            return whole
        pieces: list[bytes] = []
        size = 0
        with trio.move_on_after(self._seconds) as scope:
            while not self._whole and size <= self._max_bytes:
                pieces.append(await self._next_piece())
                size += len(pieces[-1])
        if size > self._max_bytes:
            pieces.clear()  # the error's traceback would keep them while the rest is drained
            raise BodyTooLarge(self._max_bytes)
        if scope.cancelled_caught:
            raise BodyTooSlow(f"The request body did not arrive within {self._seconds:g} seconds.")
        return b"".join(pieces)

    async def drain(self) -> None:
        """Throw away what is left of the body, within bounds, so that an early answer can be read."""
        left = DRAIN_BODIES * self._max_bytes
        with trio.move_on_after(min(DRAIN_SECONDS, self._seconds)):
            while not self._whole and left > 0:
                left -= len(await self._next_piece())

    async def _next_piece(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        if message["type"] != "http.request":
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        if not message.get("more_body", False):
            self._note_whole()
        return message.get("body", b"")

    def _note_whole(self) -> None:
        self._whole = True
        self._on_whole()

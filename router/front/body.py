"""Reading a request's body within its limits of size and time.

A body over the limit is read on for a while and thrown away before the refusal goes out: a server that
answers and closes while the client still writes makes the client see a reset instead of the answer.
"""

from typing import Final, NamedTuple, Protocol

import trio

from router.errors import BodyTooLarge, BodyTooSlow

DRAIN_SECONDS: Final = 5.0
DRAIN_BODIES: Final = 4  # of the largest allowed body: beyond that the connection may as well break


class ClientGone(Exception):
    """The client left before its request was whole; there is nobody to answer."""


class BodyLimits(NamedTuple):
    """A body is at most `most_bytes` long, and has come after `seconds`."""

    most_bytes: int
    seconds: float


class BodySource(Protocol):
    """The body of one request, piece by piece."""

    @property
    def body_ended(self) -> bool:
        """Whether the last piece has been told."""

    def body_at_hand(self, most_bytes: int) -> bytes | None:
        """Return the whole body if all of it has come, and do what `cancel_on_leave` does.

        `None`, and nothing is taken, if it has not, or is longer than that, or where nothing is known of it.
        """

    async def next_piece(self) -> bytes:
        """Return the next piece. Raises `ClientGone` when the client leaves before the body's end."""

    def cancel_on_leave(self) -> None:
        """From now on, cancel the request if the client leaves before its answer is whole.

        To be called once, when `next_piece` has told the last piece.
        """


async def read_body(source: BodySource, limits: BodyLimits) -> bytes:
    """Return the whole body, which may be on its way still.

    Raises `ClientGone`, and `BodyTooLarge` or `BodyTooSlow`: then `drain_body`.
    """
    pieces: list[bytes] = []
    size = 0
    with trio.move_on_after(limits.seconds) as scope:
        while not source.body_ended and size <= limits.most_bytes:
            pieces.append(await _next_piece(source))
            size += len(pieces[-1])
    if size > limits.most_bytes:
        pieces.clear()  # the error's traceback would keep them while the rest is drained
        raise BodyTooLarge(limits.most_bytes)
    if scope.cancelled_caught:
        raise BodyTooSlow(f"The request body did not arrive within {limits.seconds:g} seconds.")
    return b"".join(pieces)


async def drain_body(source: BodySource, limits: BodyLimits) -> None:
    """Throw away what is left of the body, within bounds, so that an early answer can be read."""
    left = DRAIN_BODIES * limits.most_bytes
    with trio.move_on_after(min(DRAIN_SECONDS, limits.seconds)):
        while not source.body_ended and left > 0:
            left -= len(await _next_piece(source))


async def _next_piece(source: BodySource) -> bytes:
    piece = await source.next_piece()
    if source.body_ended:
        source.cancel_on_leave()
    return piece

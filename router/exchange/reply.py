"""How an exchange speaks to its client, without knowing which server carries it."""

from collections.abc import Sequence
from typing import Protocol

Headers = Sequence[tuple[bytes, bytes]]


class Reply(Protocol):
    """One HTTP answer in the making.

    A reply that was started and never finished is *aborted* by the front: the client sees a broken
    connection, never a clean end. Every method may be cancelled; the reply is then aborted.

    `limit_headers` go out with the answer, whatever it will be; set them before it starts.
    """

    limit_headers: Headers

    @property
    def drops_who_stops_reading(self) -> bool:
        """Whether the server itself gives up a client that takes nothing of an answer for some time."""

    @property
    def started(self) -> bool:
        """Whether the status line has gone out, so that no other status can be told."""

    @property
    def sent_bytes(self) -> int:
        """Bytes of body handed to the server so far."""

    @property
    def can_send_now(self) -> bool:
        """Whether `send_now` may be used from here on."""

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of a streamed answer."""

    async def send(self, data: bytes) -> None:
        """Send a piece of the body; waits while the client does not take it."""

    def send_now(self, data: bytes) -> bool:
        """Send a piece of the body without waiting; whether all of it went out.

        If not, the reply keeps the rest, and `flush` must come before anything else is sent.
        """

    async def flush(self) -> None:
        """Send what `send_now` has kept; waits while the client does not take it."""

    async def finish(self) -> None:
        """End the body cleanly."""

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole answer, with its content-length."""

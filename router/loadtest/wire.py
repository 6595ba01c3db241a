"""What the load needs of a connection, so that it also runs without sockets."""

from collections.abc import Awaitable, Callable
from typing import Protocol

Take = Callable[[bytes], bool]
"""Receives bytes as they come, `b""` when the peer has closed; answers whether that was all."""


class Wire(Protocol):
    """One connection. Failures of the connection are OSError or trio.BrokenResourceError."""

    async def send(self, data: bytes) -> None:
        """Send everything."""

    async def receive(self, take: Take) -> None:
        """Read until `take` says that it has all. What `take` raises comes out here."""

    def close(self) -> None:
        """Close at once."""


Dial = Callable[[], Awaitable[Wire]]

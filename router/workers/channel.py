"""What supervisor and worker say to each other: lines of JSON over a pair of sockets, held by nobody else.

The first line is the worker's assignment, with the whole configuration. Handing it over, instead of letting
each worker read the file, is what keeps all of them at one configuration: a worker that is started anew
on Tuesday must not pick up what somebody was writing into the file on Monday. Secrets are in it as they are;
they pass from memory to memory and are never on a disk or a command line.

The worker reports once, that it listens or why it cannot. After that the supervisor may give an order. When
the line goes dead, the supervisor is gone, however it ended: the system closes a dead process's sockets.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import trio

from router.config import Config, Secret

Order = Literal["stop", "relieve"]
_READ_BYTES = 64 * 1024


class Assignment(msgspec.Struct, frozen=True):
    """What a worker is to do: its number, the folder shared with siblings, its listening sockets."""

    index: int
    folder: str
    listeners: Sequence[int]
    config: Config


class Listening(msgspec.Struct, frozen=True, tag=True):
    """The worker serves at these base URLs."""

    urls: Sequence[str]


class Failed(msgspec.Struct, frozen=True, tag=True):
    """The worker ends, for a reason that an operator can mend."""

    error: str


Report = Listening | Failed


class Channel:
    """One end of the pair. One task may send and one receive at a time."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._received = bytearray()

    async def send(self, line: bytes) -> None:
        """Send a line. Raises `trio.BrokenResourceError` when the other side is gone."""
        await self._stream.send_all(line + b"\n")

    async def receive(self) -> bytes | None:
        """Return the next line, or `None` when the other side is gone. Cancelled, it loses nothing."""
        while b"\n" not in self._received:
            try:
                piece = await self._stream.receive_some(_READ_BYTES)
            except trio.BrokenResourceError:
                return None
            if not piece:
                return None
            self._received += piece
        line, _, rest = bytes(self._received).partition(b"\n")
        self._received = bytearray(rest)
        return line

    def close(self) -> None:
        """Close this end; the other one hears of it."""
        self._stream.socket.close()


def encode_assignment(assignment: Assignment) -> bytes:
    """Return the line, secrets included."""
    return msgspec.json.encode(assignment, enc_hook=_reveal)


def decode_assignment(line: bytes) -> Assignment:
    """Read the line of `encode_assignment`."""
    return msgspec.json.decode(line, type=Assignment, dec_hook=_hide)


def _reveal(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise NotImplementedError(f"{type(value).__name__} has no place in a configuration")


def _hide(kind: type[Secret], value: str) -> Secret:
    return kind(value)

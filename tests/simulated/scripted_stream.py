"""A provider in memory that streams exactly the bytes a test says, when it says."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import trio

from tests.simulated.scripted_upstream import Peer

STREAM_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def framed(data: bytes) -> bytes:
    """One HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def chunk(**choice: Any) -> bytes:
    """One event with one choice, as one HTTP chunk."""
    said = {"index": 0, "finish_reason": None, **choice}
    content = {"model": "gpt-4o-mini", "choices": [said]}
    return framed(b"data: " + msgspec.json.encode(content) + b"\n\n")


def word(text: str) -> bytes:
    return chunk(delta={"content": text})


ROLE: Final = chunk(delta={"role": "assistant", "content": ""})
FINISH: Final = chunk(delta={}, finish_reason="stop")
DONE: Final = framed(b"data: [DONE]\n\n")
END: Final = b"0\r\n\r\n"


def saying(*parts: tuple[float, bytes]) -> Callable[[trio.abc.Stream], Awaitable[None]]:
    """A provider that sends a head and then these bytes, each so many seconds after the one before.

    It serves one request, and stops when the gateway leaves.
    """

    async def speak(stream: trio.abc.Stream) -> None:
        for pause, data in ((0.0, STREAM_HEAD), *parts):
            await trio.sleep(pause)
            await stream.send_all(data)

    async def serve(stream: trio.abc.Stream) -> None:
        async with stream, trio.open_nursery() as nursery:
            await Peer(stream).receive_request()
            nursery.start_soon(speak, stream)
            await stream.receive_some()
            nursery.cancel_scope.cancel()

    return serve

"""A client of the simulated provider that keeps what a library would hide: when each chunk came.

It speaks through h11 over any trio stream, so the same tests run in virtual time and over sockets.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import h11
import msgspec
import trio
from trio.testing import memory_stream_pair

from router.simulator import Simulator

CHAT = "/v1/chat/completions"


class Chunk(NamedTuple):
    """One HTTP chunk (or one read of a body without chunks) and when it was there."""

    at: float
    data: bytes


class Answer(NamedTuple):
    """One whole answer; `whole` is False when the connection closed before its end."""

    status: int
    headers: dict[str, str]
    head_at: float
    chunks: list[Chunk]
    end_at: float
    whole: bool

    @property
    def body(self) -> bytes:
        return b"".join(chunk.data for chunk in self.chunks)

    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> Any:
        return self.json()["error"]

    def events(self) -> list[Any]:
        """The decoded events of a stream in the plain form, "[DONE]" as it is."""
        blocks = self.body.decode().split("\n\n")
        assert blocks.pop() == "", "the stream ends inside an event"
        payloads = [block.removeprefix("data: ") for block in blocks]
        return [p if p == "[DONE]" else msgspec.json.decode(p) for p in payloads]


class WireClient:
    """One client connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._http = h11.Connection(h11.CLIENT)

    async def send(
        self,
        body: dict[str, Any] | bytes = b"",
        *,
        method: str = "POST",
        path: str = CHAT,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        if self._http.our_state is h11.DONE:
            self._http.start_next_cycle()
        head = [("host", "simulator"), ("content-length", str(len(content))), *headers]
        data = self._http.send(h11.Request(method=method, target=path, headers=head)) or b""
        data += self._http.send(h11.Data(data=content)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        await self.stream.send_all(data)

    async def answer(self) -> Answer:
        head: h11.Response | None = None
        head_at = 0.0
        chunks: list[Chunk] = []
        held = b""
        while True:
            try:
                event = await self._event()
            except (h11.RemoteProtocolError, trio.BrokenResourceError):
                event = h11.ConnectionClosed()
            if isinstance(event, h11.Response):
                head, head_at = event, trio.current_time()
            elif isinstance(event, h11.Data):
                held += event.data
                if event.chunk_end:
                    chunks.append(Chunk(trio.current_time(), held))
                    held = b""
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                break
        if held:
            chunks.append(Chunk(trio.current_time(), held))
        if head is None:
            raise EOFError("no head")
        headers = {name.decode(): value.decode() for name, value in head.headers}
        whole = isinstance(event, h11.EndOfMessage)
        return Answer(head.status_code, headers, head_at, chunks, trio.current_time(), whole)

    async def ask(self, body: dict[str, Any] | bytes = b"", **how: Any) -> Answer:
        await self.send(body, **how)
        return await self.answer()

    async def _event(self) -> h11.Event | type[h11.PAUSED] | type[h11.NEED_DATA]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(bytes(await self.stream.receive_some(65_536)))
        return event


@asynccontextmanager
async def connected(simulator: Simulator) -> AsyncIterator[WireClient]:
    """A client on an in-memory connection, which the simulator serves until the block ends."""
    ours, theirs = memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(simulator.serve_stream, theirs)
        yield WireClient(ours)
        await ours.aclose()


def chat(content: Any = "Hello", **fields: Any) -> dict[str, Any]:
    """A chat request's fields."""
    return {"model": "m", "messages": [{"role": "user", "content": content}], **fields}


def still() -> float:
    """A wall clock that stands still, so that two answers can be compared byte for byte."""
    return 1_800_000_000.0

"""A load generator's wire in memory, for tests of loads in virtual time."""

from typing import Any

import trio

from router.loadtest.wire import Take


class MemoryWire:
    """A wire over a stream that is no socket."""

    def __init__(self, stream: trio.StapledStream[Any, Any]) -> None:
        self._stream = stream
        self.closed = False

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def receive(self, take: Take) -> None:
        while not take(bytes(await self._stream.receive_some())):
            pass

    def close(self) -> None:
        self.closed = True
        self._stream.send_stream.close()
        self._stream.receive_stream.close()

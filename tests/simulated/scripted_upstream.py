"""An origin that lives in memory and does what a test's script says.

Each connection dialled runs the next script, in a task of the test's nursery; the last script serves
all further ones. What was dialled and not closed again can be counted, for the leak check.
"""

from collections.abc import Awaitable, Callable

import trio
import trio.testing

from router.upstream.origin import Origin

ORIGIN = Origin("http", "a.test", 80)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Peer:
    """The origin's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.requests: list[bytes] = []
        self._buffer = bytearray()

    async def receive_request(self) -> bytes | None:
        """One whole request, head and body, or None when the other side closed."""
        while b"\r\n\r\n" not in self._buffer:
            if not await self._receive_more():
                return None
        head_bytes = self._buffer.index(b"\r\n\r\n") + 4
        _, found, rest = bytes(self._buffer[:head_bytes]).partition(b"content-length: ")
        whole = head_bytes + (int(rest.split(b"\r\n")[0]) if found else 0)
        while len(self._buffer) < whole:
            if not await self._receive_more():
                return None
        request = bytes(self._buffer[:whole])
        del self._buffer[:whole]
        self.requests.append(request)
        return request

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def _receive_more(self) -> bool:
        data = await self.stream.receive_some()
        self._buffer += data
        return bool(data)


Script = Callable[[Peer], Awaitable[None]]


async def serve_ok(peer: Peer) -> None:
    """Answer every request with a short 200."""
    while await peer.receive_request() is not None:
        await peer.send(OK)


def answering(*answers: bytes) -> Script:
    """A script that gives these answers, one a request, and then closes."""

    async def script(peer: Peer) -> None:
        for answer in answers:
            await peer.receive_request()
            await peer.send(answer)

    return script


class ScriptedUpstream:
    """Dials into memory. A peer is closed when its script returns."""

    def __init__(self, nursery: trio.Nursery, *scripts: Script, dial_seconds: float = 0) -> None:
        self._nursery = nursery
        self._scripts = scripts or (serve_ok,)
        self._dial_seconds = dial_seconds
        self.peers: list[Peer] = []
        self.open_connections = 0

    async def dial(self, _: Origin) -> trio.abc.Stream:
        await trio.sleep(self._dial_seconds)
        ours, theirs = trio.testing.memory_stream_pair()
        self.open_connections += 1
        ours.receive_stream.close_hook = self._count_close
        peer = Peer(theirs)
        script = self._scripts[min(len(self.peers), len(self._scripts) - 1)]
        self.peers.append(peer)
        self._nursery.start_soon(self._run, script, peer)
        return ours

    @property
    def requests(self) -> list[bytes]:
        return [request for peer in self.peers for request in peer.requests]

    def _count_close(self) -> None:
        self.open_connections -= 1

    async def _run(self, script: Script, peer: Peer) -> None:
        try:
            await script(peer)
        except trio.BrokenResourceError:
            return  # the gateway closed its end first, which is its right
        finally:
            await peer.stream.aclose()

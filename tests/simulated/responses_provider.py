"""A provider in memory that speaks Responses, and answers what a test has planned."""

from collections import deque
from typing import Any

import msgspec
import trio

from tests.simulated.scripted_upstream import Peer


class ResponsesProvider:
    """Stands in for a simulator: it gives its planned answers, the last one for ever.

    An answer is the bytes of a whole HTTP response. `bodies` are those of the requests, `targets` the paths.
    """

    def __init__(self, *answers: bytes) -> None:
        self._answers = deque(answers)
        self.targets: list[str] = []
        self.raw: list[bytes] = []
        self.open_exchanges = 0

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for body in self.raw]

    def plan(self, *answers: bytes) -> None:
        """Answer so instead of what was planned before."""
        self._answers = deque(answers)

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection; it is closed with an answer that does not end by itself."""
        peer = Peer(stream)
        try:
            while (request := await peer.receive_request()) is not None:
                head, _, body = request.partition(b"\r\n\r\n")
                self.targets.append(head.split(b" ")[1].decode())
                self.raw.append(body)
                answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
                await peer.send(answer)
                if b"content-length" not in answer and not answer.endswith(b"0\r\n\r\n"):
                    return
        except trio.BrokenResourceError:
            return  # the gateway closed its end first, which is its right
        finally:
            await stream.aclose()


def whole(body: bytes, status: int = 200, *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status} X", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def streamed(*events: bytes, cut: bool = False) -> bytes:
    """A stream in one chunk, which lacks its end if it is `cut`."""
    data = b"".join(events)
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    chunk = f"{len(data):x}\r\n".encode() + data + b"\r\n"
    return head + chunk + (b"" if cut else b"0\r\n\r\n")

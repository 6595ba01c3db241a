"""A turn as an ASGI application sees it: two callables and a scope.

Only what is rare comes this way (the control routes, and whatever else Quart answers); the data plane takes
the turn itself.
"""

from typing import NamedTuple
from urllib.parse import unquote

from hypercorn.typing import ASGIReceiveEvent, ASGISendEvent, ConnectionState, HTTPScope

from router.front.body import ClientGone
from router.front.http1.message import RequestHead
from router.front.http1.turn import Turn

Address = tuple[str, int]


class Ends(NamedTuple):
    """Both ends of a connection, and whether TLS lies between."""

    scheme: str
    client: Address
    server: Address


class AsgiCalls:
    """The callables of one request."""

    __slots__ = ("_turn",)

    def __init__(self, turn: Turn) -> None:
        self._turn = turn

    async def receive(self) -> ASGIReceiveEvent:
        """The next piece of the body; after the last, wait until the client leaves or is answered."""
        turn = self._turn
        if turn.body_ended:
            await turn.until_over()
            return {"type": "http.disconnect"}
        try:
            piece = await turn.next_piece()
        except ClientGone:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": not turn.body_ended}

    async def send(self, message: ASGISendEvent) -> None:
        """Send a part of the answer; waits while the client does not take it."""
        if message["type"] == "http.response.start":
            await self._turn.start(int(message["status"]), list(message["headers"]))
            return
        if message["type"] != "http.response.body":
            raise RuntimeError(f"unexpected ASGI message {message['type']}")
        more = message.get("more_body", False)
        await self._turn.send_piece(message.get("body", b""), more=more)


def path_of(target: bytes) -> tuple[str, bytes, bytes]:
    """Return the path that a request's target names, as it was written, and the query."""
    raw, _, query = target.partition(b"?")
    path = raw.decode("ascii")
    return unquote(path) if "%" in path else path, raw, query


def asgi_scope(request: RequestHead, ends: Ends) -> HTTPScope:
    """Return what an ASGI application is told of a request."""
    path, raw_path, query = path_of(request.target)
    return {
        "type": "http",
        "http_version": request.http_version,
        "asgi": {"spec_version": "2.1", "version": "3.0"},
        "method": request.method,
        "scheme": ends.scheme,
        "path": path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": request.headers,
        "client": ends.client,
        "server": ends.server,
        "state": ConnectionState({}),
        "extensions": {},
    }

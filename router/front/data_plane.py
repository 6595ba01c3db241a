"""The data plane: the paths that carry the load, served without a framework's request and response objects.

On a connection of our own the turn itself is body and reply, and what a head asks is understood once for all
the requests of the connection that have the same. Over ASGI, which is how hypercorn brings what it serves,
the same handlers run behind a reader and a reply, beside a task that waits for the client to leave.
"""

from collections.abc import Awaitable

import msgspec
import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope

from router.front.asgi import AsgiBody, AsgiReply, watch_client
from router.front.endpoints import Endpoints
from router.front.faces import door_of, id_names
from router.front.headers import CommonHeaders, Headers, RequestIds, new_request_id
from router.front.heading import Heading, read_heading
from router.front.http1.asgi_calls import Address, path_of
from router.front.http1.message import RequestHead
from router.front.http1.turn import Turn
from router.observe.record import Endpoint


class Asking(msgspec.Struct, frozen=True, eq=False):
    """What a head asks of the data plane, and at which door.

    `common` are the headers of its answers but for those with the request's id, which are `names`.
    """

    door: Endpoint
    heading: Heading
    common: Headers
    names: tuple[bytes, ...]


class DataPlane:
    """Serves the hot paths; `common` makes the headers of every answer."""

    def __init__(self, endpoints: Endpoints, common: CommonHeaders) -> None:
        self._endpoints = endpoints
        self._common = common
        self._ids = RequestIds()

    def serve_turn(
        self, request: RequestHead, turn: Turn, *, client: Address
    ) -> Awaitable[None] | None:
        """Return what serves this request of a connection of our own, `None` where that is for others."""
        asking = request.likeness.meaning
        if not isinstance(asking, Asking):
            door = door_of(path_of(request.target)[0])
            if door is None or request.method != "POST":
                return None
            asking = request.likeness.meaning = self._asking(door, request.headers)
        request_id = self._ids.new()
        turn.common_headers = asking.common
        turn.own_headers = _named(asking, request_id)
        return self._endpoints.serve(
            asking.door,
            asking.heading,
            turn,
            turn,
            request_id=request_id,
            client_host=client[0],
        )

    async def serve_asgi(
        self,
        door: Endpoint,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        """Serve one request. An answer that was begun and cannot be finished is left so, for all to see."""
        request_id = self._ids.new()
        asking = self._asking(door, list(scope["headers"]))
        reply = AsgiReply(send, [*asking.common, *_named(asking, request_id)])
        client = scope.get("client")
        async with trio.open_nursery() as nursery:
            body = AsgiBody(
                receive,
                on_whole=lambda: nursery.start_soon(
                    watch_client, receive, reply, nursery.cancel_scope
                ),
            )
            await self._endpoints.serve(
                door,
                asking.heading,
                body,
                reply,
                request_id=request_id,
                client_host=client[0] if client else None,
            )
            nursery.cancel_scope.cancel()

    def reply_to(self, scope: HTTPScope, send: ASGISendCallable) -> AsgiReply:
        """Return the reply to a request outside the data plane, with a request id of its own."""
        origin = dict(scope["headers"]).get(b"origin")
        return AsgiReply(send, self._common.of_answer(new_request_id(), origin))

    def _asking(self, door: Endpoint, headers: Headers) -> Asking:
        heading = read_heading(door, headers)
        return Asking(door, heading, self._common.of_origin(heading.origin), id_names(door))


def _named(asking: Asking, request_id: str) -> Headers:
    """Return the headers of one answer with the request's id."""
    told = request_id.encode()
    if len(asking.names) == 1:
        return [(asking.names[0], told)]
    return [(name, told) for name in asking.names]

"""The front: one Quart application, with the data plane beside it.

Quart routes and serves what is rare (models, health, metrics, errors, preflights). The paths that
carry the load skip Quart's request and response objects through its own extension point,
`asgi_http_class`, and run on bare ASGI (`docs/decisions/0005`).
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, HTTPScope
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection

from router.config import ServerConfig
from router.errors import GatewayError
from router.front.asgi import (
    AsgiReply,
    ClientGone,
    Offer,
    UndisturbedEnd,
    offer_of,
    watch_client,
)
from router.front.body import BodyReader
from router.front.control import Control
from router.front.endpoints import Endpoints
from router.front.faces import door_of, names_request
from router.front.headers import CommonHeaders, RequestIds, new_request_id
from router.front.heading import heading_of
from router.observe.record import Endpoint

# The control routes that take a body, and how large it may be.
TAKE_BODIES: Final = ("/admin/", "/webhooks/", "/v1/credit/", "/credit/")
MOST_BODY_BYTES: Final = 1024 * 1024


class DataPlane:
    """Serves the hot paths over ASGI: body limits, the watcher of the client, the request's nursery."""

    def __init__(self, endpoints: Endpoints, config: ServerConfig, common: CommonHeaders) -> None:
        self._endpoints = endpoints
        self._config = config
        self._common = common
        self._ids = RequestIds()

    async def __call__(
        self,
        endpoint: Endpoint,
        scope: HTTPScope,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        """Serve one request. An answer that was begun and cannot be finished is left so, for all to see."""
        request_id = self._ids.new()
        offer = offer_of(scope)
        heading = heading_of(list(scope["headers"]), offer.likeness if offer is not None else None)
        common = self._common.of_answer(request_id, heading.origin)
        common += names_request(endpoint, request_id)
        reply = AsgiReply(send, common, offer=offer)
        client = scope.get("client")
        serve = partial(
            self._endpoints.serve,
            endpoint,
            heading,
            reply=reply,
            request_id=request_id,
            client_host=client[0] if client else None,
        )
        if offer is None:
            await self._serve_watched(serve, receive, reply)
        else:
            await serve(self.body_of(receive, on_whole=offer.cancel_on_leave, offer=offer))

    async def _serve_watched(
        self,
        serve: Callable[[BodyReader], Awaitable[None]],
        receive: ASGIReceiveCallable,
        reply: AsgiReply,
    ) -> None:
        """Serve while a task of its own waits for the client to leave, where no connection tells that."""
        async with trio.open_nursery() as nursery:
            body = self.body_of(
                receive,
                on_whole=lambda: nursery.start_soon(
                    watch_client, receive, reply, nursery.cancel_scope
                ),
            )
            await serve(body)
            nursery.cancel_scope.cancel()

    def reply_to(self, scope: HTTPScope, send: ASGISendCallable) -> AsgiReply:
        """Return the reply to a request outside the data plane, with a request id of its own."""
        origin = dict(scope["headers"]).get(b"origin")
        return AsgiReply(send, self._common.of_answer(new_request_id(), origin))

    def body_of(
        self,
        receive: ASGIReceiveCallable,
        *,
        on_whole: Callable[[], object],
        most_bytes: int | None = None,
        offer: Offer | None = None,
    ) -> BodyReader:
        """Return the body of a request, within the configured limits, and `most_bytes` where that is less."""
        configured = self._config.max_body_bytes
        return BodyReader(
            receive,
            max_bytes=configured if most_bytes is None else min(configured, most_bytes),
            seconds=self._config.body_seconds,
            on_whole=on_whole,
            at_hand=offer.body_at_hand if offer is not None else None,
        )


class FrontConnection(TrioASGIHTTPConnection):
    """Chooses between the data plane and Quart, per request."""

    app: "Front"

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one HTTP request."""
        endpoint = door_of(self.scope["path"])
        if endpoint is not None and self.scope["method"] == "POST":
            await self.app.data_plane(endpoint, self.scope, receive, send)
        else:
            await self._control(UndisturbedEnd(receive, send))

    async def _control(self, end: UndisturbedEnd) -> None:
        """Let Quart answer. The body is read before that, and thrown away where no route takes one."""
        plane = self.app.data_plane
        takes_body = self.scope["path"].startswith(TAKE_BODIES)
        most_bytes = MOST_BODY_BYTES if takes_body else None
        body = plane.body_of(end.receive, on_whole=lambda: None, most_bytes=most_bytes)
        try:
            if takes_body:
                end.give_body(await body.read())
            else:
                await body.drain()
        except ClientGone:
            return
        except GatewayError as error:
            await _refuse(error, body, plane.reply_to(self.scope, end.send))
            return
        await super().__call__(end.receive_again, end.send)


async def _refuse(error: GatewayError, body: BodyReader, reply: AsgiReply) -> None:
    """Answer a request whose body could not be read."""
    try:
        await body.drain()
        await reply.answer(*error.render())
    except ClientGone:
        return


class Front(QuartTrio):
    """The Quart application with its data plane."""

    asgi_http_class = FrontConnection

    def __init__(self, endpoints: Endpoints, control: Control, config: ServerConfig) -> None:
        super().__init__("router.front", static_folder=None)
        common = CommonHeaders(config.cors_origins)
        self.data_plane = DataPlane(endpoints, config, common)
        self.config["RESPONSE_TIMEOUT"] = None
        control.install(self, common)

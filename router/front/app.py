"""The front: one Quart application, with the data plane beside it.

Quart routes and serves what is rare (models, health, metrics, errors, preflights). The paths that
carry the load skip Quart's request and response objects: on connections of our own they never come here
(`router.front.http1.connection.Plane`), and of what hypercorn serves they are taken out through Quart's own
extension point, `asgi_http_class` (`docs/decisions/0005`).
"""

from typing import Final

from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable
from quart_trio import QuartTrio
from quart_trio.asgi import TrioASGIHTTPConnection

from router.config import ServerConfig
from router.errors import GatewayError
from router.front.asgi import AsgiBody, AsgiReply, UndisturbedEnd
from router.front.body import BodyLimits, ClientGone, drain_body, read_body
from router.front.control import Control
from router.front.data_plane import DataPlane
from router.front.endpoints import Endpoints
from router.front.faces import door_of
from router.front.headers import CommonHeaders

# The control routes that take a body, and how large it may be.
TAKE_BODIES: Final = ("/admin/", "/webhooks/", "/v1/credit/", "/credit/")
MOST_BODY_BYTES: Final = 1024 * 1024


class FrontConnection(TrioASGIHTTPConnection):
    """Chooses between the data plane and Quart, per request."""

    app: "Front"

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one HTTP request."""
        door = door_of(self.scope["path"])
        if door is not None and self.scope["method"] == "POST":
            await self.app.data_plane.serve_asgi(door, self.scope, receive, send)
        else:
            await self._control(UndisturbedEnd(receive, send))

    async def _control(self, end: UndisturbedEnd) -> None:
        """Let Quart answer. The body is read before that, and thrown away where no route takes one."""
        limits = self.app.body_limits
        body = AsgiBody(end.receive)
        try:
            if self.scope["path"].startswith(TAKE_BODIES):
                limits = limits._replace(most_bytes=min(limits.most_bytes, MOST_BODY_BYTES))
                end.give_body(await read_body(body, limits))
            else:
                await drain_body(body, limits)
        except ClientGone:
            return
        except GatewayError as error:
            reply = self.app.data_plane.reply_to(self.scope, end.send)
            await _refuse(error, body, limits, reply)
            return
        await super().__call__(end.receive_again, end.send)


async def _refuse(
    error: GatewayError, body: AsgiBody, limits: BodyLimits, reply: AsgiReply
) -> None:
    """Answer a request whose body could not be read."""
    try:
        await drain_body(body, limits)
        await reply.answer(*error.render())
    except ClientGone:
        return


class Front(QuartTrio):
    """The Quart application with its data plane."""

    asgi_http_class = FrontConnection

    def __init__(self, endpoints: Endpoints, control: Control, config: ServerConfig) -> None:
        super().__init__("router.front", static_folder=None)
        common = CommonHeaders(config.cors_origins)
        self.data_plane = DataPlane(endpoints, common)
        self.body_limits = endpoints.body_limits
        self.config["RESPONSE_TIMEOUT"] = None
        control.install(self, common)

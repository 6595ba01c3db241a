"""The control routes, in plain Quart: models, health, metrics, preflights, and errors as JSON.

Their answers carry the same common headers and the same error envelope as the data plane's. Nothing is
ever redirected: a redirected POST loses its body in most clients.
"""

from collections.abc import Awaitable, Callable

import msgspec
from quart import Quart, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from router.accounts.caller import Caller
from router.accounts.keyring import KeyRing
from router.billing.prices import PriceList
from router.catalog.catalog import Catalog
from router.errors import (
    GatewayBug,
    GatewayError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    PathNotFound,
    ResponseNotFound,
)
from router.errors import MethodNotAllowed as WrongMethod
from router.front.credentials import authenticate
from router.front.faces import door_of, render
from router.front.headers import CommonHeaders, new_request_id
from router.front.model_list import ModelList
from router.front.quart_route import add_route, json_response, raw_headers


class Control:
    """What the control routes need to know, and the handlers themselves.

    `ready` says whether this process should get new clients; `metrics` renders the scrape, `None` if off;
    `on_bug` hears of every exception that nobody expected.
    """

    def __init__(
        self,
        *,
        ring: KeyRing,
        catalog: Catalog,
        prices: PriceList,
        ready: Callable[[], bool],
        metrics: Callable[[], Awaitable[tuple[bytes, str]]] | None,
        on_bug: Callable[[str, Exception], None],
    ) -> None:
        self._ring = ring
        self._catalog = catalog
        self._models = ModelList(catalog, prices)
        self._ready = ready
        self._metrics = metrics
        self._on_bug = on_bug

    def install(self, app: Quart, common: CommonHeaders) -> None:
        """Add the routes to the application, and the common headers to all its answers."""
        self._common = common
        app.url_map.merge_slashes = False  # it would redirect what has two in a row
        app.before_request(_begin)
        app.after_request(self._finish)
        app.register_error_handler(Exception, self._render)
        for path, handler in (
            ("/healthz", self._healthz),
            ("/readyz", self._readyz),
            ("/v1/models", self._list_models),
            ("/models", self._list_models),
            ("/v1/models/<path:model_id>", self._model),
            ("/models/<path:model_id>", self._model),
            ("/v1/responses/<path:response_id>", self._response),
            ("/responses/<path:response_id>", self._response),
        ):
            add_route(app, path, handler, method="GET")
        if self._metrics is not None:
            add_route(app, "/metrics", _scraper(self._metrics), method="GET")
        add_route(app, "/<path:path>", self._preflight, method="OPTIONS")

    async def _healthz(self) -> Response:
        return _json_of({"status": "ok"})

    async def _readyz(self) -> Response:
        ready = self._ready()
        return _json_of({"status": "ready" if ready else "stopping"}, status=200 if ready else 503)

    async def _list_models(self) -> Response:
        return json_response(self._models.for_caller(self._authenticate()))

    async def _model(self, model_id: str) -> Response:
        caller = self._authenticate()
        route = self._catalog.resolve(model_id)
        if route is None:
            raise ModelNotFound(model_id, self._catalog.nearest(model_id))
        if not caller.tier.allows(route.id):
            having = self._ring.snapshot.tiers_that_have(route.id)
            raise ModelNotAllowed(route.id, tier=caller.tier.name, tiers_with=having)
        return json_response(self._models.card(model_id, route))

    async def _response(self, response_id: str) -> Response:
        """Say that there is none: nothing of an answer is kept here."""
        authenticate(raw_headers(), self._ring, "inference")
        raise ResponseNotFound(response_id)

    async def _preflight(self, path: str) -> Response:  # noqa: ARG002 - any path may be asked about
        headers = self._common.of_preflight(_header("Access-Control-Request-Headers") or b"")
        return Response("", status=204, headers=_text_headers(headers))

    def _authenticate(self) -> Caller:
        return authenticate(raw_headers(), self._ring, "models")

    async def _finish(self, response: Response) -> Response:
        for name, value in self._common.of_answer(g.request_id, _header("Origin")):
            response.headers[name.decode()] = value.decode("latin-1")
        return response

    async def _render(self, error: Exception) -> Response:
        """Render every error of a control route in the envelope."""
        if isinstance(error, GatewayError):
            found = error
        elif isinstance(error, HTTPException):
            found = _of_routing(error)
        else:
            self._on_bug(g.request_id, error)
            found = GatewayBug(g.request_id)
        status, headers, body = render(found, door_of(request.path), g.request_id)
        return Response(body, status=status, headers=_text_headers(headers))


def _scraper(
    render: Callable[[], Awaitable[tuple[bytes, str]]],
) -> Callable[[], Awaitable[Response]]:
    async def scrape() -> Response:
        body, content_type = await render()
        return Response(body, content_type=content_type)

    return scrape


async def _begin() -> None:
    g.request_id = new_request_id()


def _of_routing(error: HTTPException) -> GatewayError:
    """Translate what Quart's routing raises."""
    if isinstance(error, MethodNotAllowed):
        allowed = set(error.valid_methods or ()) - {"OPTIONS"}
        if door_of(request.path) is not None:
            allowed = {"POST"}
        if allowed:
            return WrongMethod(request.method, request.path, sorted(allowed))
    if isinstance(error, NotFound | MethodNotAllowed):
        return PathNotFound(request.method, request.path)
    return InvalidRequest(error.description or error.name)


def _json_of(value: object, *, status: int = 200) -> Response:
    return json_response(msgspec.json.encode(value), status=status)


def _header(name: str) -> bytes | None:
    value = request.headers.get(name)
    return value.encode("latin-1") if value is not None else None


def _text_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in headers}

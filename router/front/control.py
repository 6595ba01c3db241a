"""The control routes, in plain Quart: models, health, metrics, preflights, and errors as JSON.

Their answers carry the same common headers and the same error envelope as the data plane's. Nothing is
ever redirected: a redirected POST loses its body in most clients.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from quart import Quart, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from router.accounts.keyring import KeyRing
from router.catalog.catalog import Catalog
from router.catalog.routes import Route
from router.errors import (
    GatewayBug,
    GatewayError,
    InvalidRequest,
    ModelNotFound,
    PathNotFound,
)
from router.errors import MethodNotAllowed as WrongMethod
from router.front.credentials import authenticate
from router.front.headers import CommonHeaders, new_request_id

_DATA_PATHS: Final = ("/chat/completions", "/completions", "/embeddings")
# Strict clients want the field, providers rarely tell it: the date of the catalog's data, in unix seconds.
_CREATED_AT: Final = 1_793_491_200
_encode: Final = msgspec.json.encode


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
        ready: Callable[[], bool],
        metrics: Callable[[], Awaitable[tuple[bytes, str]]] | None,
        on_bug: Callable[[str, Exception], None],
    ) -> None:
        self._ring = ring
        self._catalog = catalog
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
            ("/v1/models", self._models),
            ("/models", self._models),
            ("/v1/models/<path:model_id>", self._model),
            ("/models/<path:model_id>", self._model),
        ):
            _add_route(app, path, handler, method="GET")
        if self._metrics is not None:
            _add_route(app, "/metrics", _scraper(self._metrics), method="GET")
        _add_route(app, "/<path:path>", self._preflight, method="OPTIONS")

    async def _healthz(self) -> Response:
        return _json({"status": "ok"})

    async def _readyz(self) -> Response:
        ready = self._ready()
        return _json({"status": "ready" if ready else "stopping"}, status=200 if ready else 503)

    async def _models(self) -> Response:
        self._authenticate()
        listed = [_model_object(route) for route in self._catalog.listing()]
        return _json({"object": "list", "data": listed})

    async def _model(self, model_id: str) -> Response:
        self._authenticate()
        route = self._catalog.resolve(model_id)
        if route is None:
            raise ModelNotFound(model_id, self._catalog.nearest(model_id))
        return _json(_model_object(route))

    async def _preflight(self, path: str) -> Response:  # noqa: ARG002 - any path may be asked about
        headers = self._common.of_preflight(_header("Access-Control-Request-Headers") or b"")
        return Response("", status=204, headers=_text_headers(headers))

    def _authenticate(self) -> None:
        headers = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in request.headers
        ]
        authenticate(headers, self._ring, "models")

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
        status, headers, body = found.render()
        return Response(body, status=status, headers=_text_headers(headers))


def _add_route(
    app: Quart, path: str, handler: Callable[..., Awaitable[Response]], *, method: str
) -> None:
    """Add a route for one method; OPTIONS is left to the preflights, which Quart knows nothing of."""
    app.add_url_rule(
        path,
        view_func=handler,
        methods=[method],
        strict_slashes=False,
        provide_automatic_options=False,
    )


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
        if request.path.rstrip("/").removeprefix("/v1") in _DATA_PATHS:
            allowed = {"POST"}
        if allowed:
            return WrongMethod(request.method, request.path, sorted(allowed))
    if isinstance(error, NotFound | MethodNotAllowed):
        return PathNotFound(request.method, request.path)
    return InvalidRequest(error.description or error.name)


def _model_object(route: Route) -> dict[str, object]:
    return {"id": route.id, "object": "model", "created": _CREATED_AT, "owned_by": route.owned_by}


def _json(value: object, *, status: int = 200) -> Response:
    return Response(_encode(value), status=status, content_type="application/json")


def _header(name: str) -> bytes | None:
    value = request.headers.get(name)
    return value.encode("latin-1") if value is not None else None


def _text_headers(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode(): value.decode("latin-1") for name, value in headers}

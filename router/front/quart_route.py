"""How a route is added to the Quart application, and how its handlers read and answer.

Nothing is ever redirected, and HEAD is served where GET is.
"""

from collections.abc import Awaitable, Callable

from quart import Quart, Response, request

Handler = Callable[..., Awaitable[Response]]


def add_route(app: Quart, path: str, handler: Handler, *, method: str) -> None:
    """Add a route for one method; OPTIONS is left to the preflights, which Quart knows nothing of."""
    app.add_url_rule(
        path,
        # Quart takes two handlers of one name for the same one.
        endpoint=f"{method} {path}",
        view_func=handler,
        methods=[method],
        strict_slashes=False,
        provide_automatic_options=False,
    )


def json_response(body: bytes, *, status: int = 200) -> Response:
    """Return an answer with a body that is JSON already."""
    return Response(body, status=status, content_type="application/json")


def raw_headers() -> list[tuple[bytes, bytes]]:
    """Return the current request's headers, their names in lower case."""
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers]

"""How a stream of Responses is ended with an error: two events, for clients listen to either."""

from adapters.dialect import ToldError
from adapters.responses.output import Json


def error_events(error: ToldError, response: Json) -> tuple[tuple[str, Json], tuple[str, Json]]:
    """Return the names and fields of both; `response` has what was whole when it broke."""
    code = error.code or "server_error"
    told = {"code": code, "message": error.message}
    # SDKs raise on the inner object; the reference has the fields beside it.
    inner = {"type": code, **told, "param": None}
    failed = {**response, "status": "failed", "error": told}
    return (
        ("error", {**told, "param": None, "error": inner}),
        ("response.failed", {"response": failed}),
    )

"""Errors as Anthropic's clients read them: in an answer's body, or as an event of a stream.

Their SDKs choose the exception by the status, and show type and message.
"""

from typing import Final

import msgspec

from adapters.anthropic.ending import named_event

_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}

_encode: Final = msgspec.json.encode


def error_body(status: int, message: str, *, request_id: str) -> bytes:
    """Return the body of an error answer."""
    return _encode({"type": "error", "error": _inside(status, message), "request_id": request_id})


def error_event(status: int, message: str, *, request_id: str) -> bytes:
    """Return the event that tells of an error in the middle of a stream."""
    return named_event("error", error=_inside(status, message), request_id=request_id)


def _inside(status: int, message: str) -> dict[str, str]:
    default = "invalid_request_error" if status < 500 else "api_error"
    return {"type": _TYPES.get(status, default), "message": message}

"""Errors in the words of Google's services: a code, a status in capitals, and details.

How long to wait is told in a detail, `RetryInfo`, and in no header. Source: Google's API design
guide, "Errors", and `google.rpc.Code`.
"""

from typing import Any, Final

import msgspec

from router.simulator.idiom import Complaint, Idiom
from router.simulator.refusal import Refusal, flaw_of
from router.simulator.shaping import array_items

STATUSES: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE: Final = "type.googleapis.com/google.rpc."
_DOMAIN: Final = "googleapis.com"


def error_body(complaint: Complaint) -> dict[str, Any]:
    """The body of an error, and the data of an error event."""
    if complaint.told is not None:
        return {"error": complaint.told}
    details = list(_details(complaint))
    error = {
        "code": complaint.status,
        "message": complaint.words,
        "status": STATUSES.get(complaint.status, "UNKNOWN"),
        **({"details": details} if details else {}),
    }
    return {"error": error}


IDIOM: Final = Idiom(
    error=error_body,
    refusals={
        "length": (
            "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            None,
        ),
    },
    retry_header=False,
    malformed=b'{"candidates":[{"content":{"parts":[{"te',
    unknown=b'{"notice":"a chunk of a kind nobody knows"}',
)
ARRAY_IDIOM: Final = msgspec.structs.replace(
    IDIOM,
    lines=array_items,
    odd_lines=array_items,
    media=((b"content-type", b"application/json; charset=UTF-8"),),
)


def invalid(message: str) -> Refusal:
    """A request that is wrong."""
    return Refusal(400, message)


def invalid_body(error: msgspec.ValidationError) -> Refusal:
    """Say what msgspec found."""
    flaw = flaw_of(error)
    if flaw.kind == "unknown":
        place, _, name = flaw.path.rpartition(".")
        at = f" at '{place}'" if place else ""
        return invalid(
            f'Invalid JSON payload received. Unknown name "{name}"{at}: Cannot find field.'
        )
    if flaw.kind == "missing":
        return invalid(f"{flaw.path}: required field is not set")
    return invalid(f"Invalid value at '{flaw.path or 'body'}': {flaw.what}")


def _details(complaint: Complaint) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    if complaint.code is not None:
        info = {"reason": complaint.code, "domain": _DOMAIN}
        details.append({"@type": f"{_TYPE}ErrorInfo", **info})
    if complaint.retry_after is not None:
        delay = f"{complaint.retry_after:.3f}".rstrip("0").rstrip(".")
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{delay}s"})
    return details

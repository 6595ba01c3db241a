"""Errors in Anthropic's words: a type for each status, and a message that starts with the place.

Source: Anthropic's API reference, "Errors".
"""

from typing import Any, Final

import msgspec

from router.simulator.idiom import Complaint, Idiom
from router.simulator.refusal import Refusal, flaw_of
from router.simulator.shaping import named_crlf_event_lines, named_event_lines

TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def error_body(complaint: Complaint) -> dict[str, Any]:
    """The body of an error, and the data of an error event."""
    ordinary = "api_error" if complaint.status >= 500 else "invalid_request_error"
    error = complaint.told or {
        "type": TYPES.get(complaint.status, ordinary),
        "message": complaint.words,
    }
    return {"type": "error", "error": error}


IDIOM: Final = Idiom(
    error=error_body,
    refusals={
        "content": ("Output blocked by content filtering policy", None),
        "length": ("prompt is too long: 200042 tokens > 200000 maximum", None),
    },
    done=b'{"type":"message_stop"}',
    malformed=b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","te',
    unknown=b'{"type":"simulator_notice","notice":"an event of a type nobody knows"}',
    lines=named_event_lines,
    odd_lines=named_crlf_event_lines,
)


def invalid(message: str) -> Refusal:
    """A request that is wrong."""
    return Refusal(400, message)


def invalid_body(error: msgspec.ValidationError) -> Refusal:
    """Say what msgspec found."""
    flaw = flaw_of(error)
    if flaw.kind == "missing":
        return invalid(f"{flaw.path}: Field required")
    if flaw.kind == "unknown":
        return invalid(f"{flaw.path}: Extra inputs are not permitted")
    return invalid(f"{flaw.path or 'body'}: {flaw.what}")

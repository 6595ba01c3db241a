"""Errors in AWS's words: the exception's name in a header, and a message for a body.

In a stream an exception is a frame of its own, and only five of them can come there; inside a whole answer it
would be what AWS's oldest services do, a name under `__type`. Sources: "Converse" and "ConverseStream" in the
API reference of Amazon Bedrock Runtime, and "Common errors" there.
"""

from typing import Any, Final

import msgspec

from router.simulator.bedrock.frames import MEDIA, frames, odd_frames
from router.simulator.idiom import Complaint, Idiom
from router.simulator.performance import Headers
from router.simulator.refusal import Refusal, flaw_of

_NAMES: Final = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}
_IN_STREAMS: Final = {
    400: "validationException",
    424: "modelStreamErrorException",
    429: "throttlingException",
    500: "internalServerException",
    503: "serviceUnavailableException",
}
_TYPE: Final = "__type"
_ORIGIN: Final = "http://internal.amazon.com/coral/com.amazon.bedrock/"


def exception_of(complaint: Complaint) -> str:
    """The name of the exception: the ordered one, else the usual one of the status."""
    told = complaint.told
    if isinstance(told, dict) and isinstance(told.get(_TYPE), str):
        return str(told[_TYPE])
    if complaint.code is not None:
        return complaint.code
    ordinary = "ServiceUnavailableException" if complaint.status >= 500 else "AccessDeniedException"
    return _NAMES.get(complaint.status, ordinary)


def error_body(complaint: Complaint) -> dict[str, Any]:
    """The body of an error."""
    return _told(complaint)


def error_headers(complaint: Complaint) -> Headers:
    """The header that names the exception."""
    name = exception_of(complaint)
    return ((b"x-amzn-errortype", f"{name}:{_ORIGIN}".encode()),)


def error_event(complaint: Complaint) -> dict[str, Any]:
    """An exception in a stream, as a member of the union that streams consist of."""
    ordinary = (
        "internalServerException" if complaint.status < 500 else "serviceUnavailableException"
    )
    usual = _IN_STREAMS.get(complaint.status, ordinary)
    told = complaint.told
    name = told.get(_TYPE, usual) if isinstance(told, dict) else usual
    return {f"{name[:1].lower()}{name[1:]}": _told(complaint)}


def error_answer(complaint: Complaint) -> dict[str, Any]:
    """A 200 that is an exception all the same."""
    return {_TYPE: f"com.amazon.bedrock#{exception_of(complaint)}", **_told(complaint)}


def _told(complaint: Complaint) -> dict[str, Any]:
    told = complaint.told
    if isinstance(told, dict):
        return {name: value for name, value in told.items() if name != _TYPE}
    return {"message": told or complaint.words}


IDIOM: Final = Idiom(
    error=error_body,
    error_headers=error_headers,
    error_event=error_event,
    error_answer=error_answer,
    refusals={
        "content": ("Output blocked by content filtering policy", None),
        "length": ("Input is too long for requested model.", None),
    },
    malformed=b'{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"te}',
    unknown=b'{"simulatorNotice":{"notice":"an event of a type nobody knows"}}',
    lines=frames,
    odd_lines=odd_frames,
    media=MEDIA,
)


def invalid(message: str) -> Refusal:
    """A request that is wrong."""
    return Refusal(400, message)


def invalid_body(error: msgspec.ValidationError) -> Refusal:
    """Say what msgspec found."""
    flaw = flaw_of(error)
    told = {"missing": "is required", "unknown": "extraneous key is not permitted"}
    place = flaw.path or "body"
    return invalid(f"Malformed input request: {place}: {told.get(flaw.kind, flaw.what)}.")

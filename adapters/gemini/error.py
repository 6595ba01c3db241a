"""Gemini's and Vertex AI's error answers, put into classes.

The form is that of all Google's services: `{"error": {"code", "message", "status", "details"}}`, sometimes
in a list of one. `details` may say how long to wait (RetryInfo) and what is wrong more exactly (ErrorInfo).
A wrong key comes as 400, so the status alone does not tell. Source: Google's API design guide, "Errors"
(`google.rpc.Code`, `google.rpc.RetryInfo`, `google.rpc.ErrorInfo`).
"""

from typing import Final

import msgspec

from adapters.dialect import Failure, FailureKind, Headers
from adapters.openai.foreign import NULL, UNREADABLE, starts_with
from adapters.openai.retry_after import read_retry_after

_MAX_MESSAGE_CHARACTERS: Final = 2000
_MAX_WAIT_SECONDS: Final = 31 * 24 * 3600.0

_KEY_REASONS: Final = frozenset(
    {"API_KEY_INVALID", "API_KEY_EXPIRED", "API_KEY_SERVICE_BLOCKED", "BILLING_DISABLED"}
)
_KEY_WORDS: Final = ("api key not valid", "api key expired", "location is not supported")
_CONTEXT_WORDS: Final = (
    "exceeds the maximum number of tokens",
    "input token count",
    "input context is too long",
    "exceeds the model's context",
)
_HTTP_STATUSES: Final = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}


class _Detail(msgspec.Struct, rename="camel"):
    reason: str | None = None
    retry_delay: str | None = None


class _Error(msgspec.Struct):
    code: int | str | None = None
    message: str | None = None
    status: str | None = None
    details: msgspec.Raw = NULL


class _Envelope(msgspec.Struct):
    error: msgspec.Raw = NULL


_decode_value: Final = msgspec.json.Decoder(msgspec.Raw).decode
_decode_list: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_decode_error: Final = msgspec.json.Decoder(_Error).decode
_decode_detail: Final = msgspec.json.Decoder(_Detail).decode
_decode_text: Final = msgspec.json.Decoder(str).decode


def classify(status: int, headers: Headers, body: bytes, *, now_at: float) -> Failure:
    """Put an error answer into its class. `now_at`: unix seconds, for a Retry-After given as a date."""
    error = error_in(body)
    told = (
        _Error(message=body.decode("utf-8", "replace").strip()) if error is None else _read(error)
    )
    return _failure(status, told, retry_after=read_retry_after(headers, now_at))


def classify_object(error: msgspec.Raw) -> Failure:
    """Put the value of an `error` field inside a 200 into its class."""
    told = _read(error)
    return _failure(_status_of(told), told, retry_after=None)


def error_in(data: bytes) -> msgspec.Raw | None:
    """Return the value of the `error` field of a body or an event, `None` if there is none."""
    try:
        value = _decode_value(data.decode("utf-8", "replace"))
        if starts_with(value, b"["):
            value = next(iter(_decode_list(value)), NULL)
        error = _decode_envelope(value).error
    except UNREADABLE:
        return None
    return None if error == NULL else error


def _read(error: msgspec.Raw) -> _Error:
    try:
        return _decode_error(error)
    except UNREADABLE:
        is_text = starts_with(error, b'"')
        return _Error(message=_decode_text(error) if is_text else bytes(error).decode())


def _failure(status: int, error: _Error, *, retry_after: float | None) -> Failure:
    details = _details(error.details)
    message = (error.message or "").strip()[:_MAX_MESSAGE_CHARACTERS]
    reasons = {detail.reason for detail in details if detail.reason}
    kind = _kind(status, error.status, reasons=reasons, message=message.lower())
    is_ours = kind in {FailureKind.CONTEXT_LENGTH, FailureKind.REFUSED}
    delays = [found for detail in details if (found := _seconds(detail.retry_delay)) is not None]
    return Failure(
        kind=kind,
        status=status,
        message=message or f"The provider answered with status {status}.",
        type="invalid_request_error" if is_ours else error.status,
        code=_code(kind, error, reasons),
        retry_after=max(delays, default=retry_after),
    )


def _code(kind: FailureKind, error: _Error, reasons: set[str]) -> str | None:
    if kind is FailureKind.CONTEXT_LENGTH:
        return "context_length_exceeded"  # the word by which clients know it
    return min(reasons, default=error.status)


def _kind(status: int, name: str | None, *, reasons: set[str], message: str) -> FailureKind:
    # A failed precondition is billing or a region: the operator's matter, as a key is.
    is_account = status in {401, 402, 403} or name == "FAILED_PRECONDITION"
    if is_account or reasons & _KEY_REASONS or _has(message, _KEY_WORDS):
        return FailureKind.CREDENTIAL
    if status == 429:
        return FailureKind.RATE_LIMITED
    if status >= 500 or status in {408, 499}:
        return FailureKind.OVERLOADED
    if status < 400:
        return FailureKind.INVALID
    too_long = status in {400, 413} and _has(message, _CONTEXT_WORDS)
    return FailureKind.CONTEXT_LENGTH if too_long else FailureKind.REFUSED


def _has(message: str, words: tuple[str, ...]) -> bool:
    return any(word in message for word in words)


def _status_of(error: _Error) -> int:
    """Find the HTTP status that an error inside a 200 stands for; unclear ones count as a 500."""
    code = error.code
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    if isinstance(code, int) and 400 <= code <= 599:
        return code
    return _HTTP_STATUSES.get(error.status or "", 500)


def _details(details: msgspec.Raw) -> list[_Detail]:
    try:
        items = _decode_list(details) if starts_with(details, b"[") else []
    except UNREADABLE:
        return []
    found = []
    for item in items:
        try:
            found.append(_decode_detail(item))
        except UNREADABLE:  # one of another form, which says nothing that is read here
            continue
    return found


def _seconds(delay: str | None) -> float | None:
    """Read a duration as Google writes it, such as `34.07s`."""
    try:
        seconds = float((delay or "").removesuffix("s"))
    except ValueError:
        return None
    return min(seconds, _MAX_WAIT_SECONDS) if seconds >= 0 else None

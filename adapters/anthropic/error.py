"""Anthropic's error answers, put into classes.

The form is `{"type": "error", "error": {"type", "message"}}`, in an answer as in an event of a stream; in a
stream there is no status, so the type stands for it. 529 is an overload of the whole API. An account without
credit is told with a 400, and only the words tell it from a bad request.

Source: Anthropic's API reference, "Errors".
"""

from typing import Final

import msgspec

from adapters.dialect import Failure, FailureKind, Headers
from adapters.openai.error_body import ErrorView, read_body, read_value
from adapters.openai.retry_after import read_retry_after

_STATUS_OF_TYPES: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_CREDIT_WORDS: Final = ("credit balance is too low", "usage limits")
_CONTEXT_WORDS: Final = (
    "prompt is too long",
    "exceed context limit",
    "context window",
    "maximum context length",
)
_POLICY_WORDS: Final = ("content filtering policy",)


def classify(status: int, headers: Headers, body: bytes, *, now_at: float) -> Failure:
    """Put an error answer into its class. `now_at`: unix seconds, for a Retry-After given as a date."""
    return _failure(status, read_body(body), retry_after=read_retry_after(headers, now_at))


def classify_event(data: bytes) -> Failure:
    """Put an error that came in a stream, or with a status of 200, into its class."""
    return _failure_inside(read_body(data))


def classify_object(error: msgspec.Raw) -> Failure:
    """Put the value of an `error` field into its class."""
    return _failure_inside(read_value(error))


def _failure_inside(error: ErrorView) -> Failure:
    status = _STATUS_OF_TYPES.get(error.text("type") or "", 500)
    return _failure(status, error, retry_after=None)


def _failure(status: int, error: ErrorView, *, retry_after: float | None) -> Failure:
    message = error.message_text() or f"The provider answered with status {status}."
    kind = _kind(status, message.lower())
    code = "context_length_exceeded" if kind is FailureKind.CONTEXT_LENGTH else error.text("code")
    return Failure(
        kind=kind,
        status=status,
        message=message,
        type=error.text("type"),
        code=code,
        retry_after=retry_after,
    )


def _kind(status: int, message: str) -> FailureKind:
    if status in {401, 402, 403}:
        return FailureKind.CREDENTIAL
    if status == 429:
        return FailureKind.RATE_LIMITED
    if status >= 500 or status == 408:
        return FailureKind.OVERLOADED
    if status < 400:
        return FailureKind.INVALID
    return _kind_of_refusal(message)


def _kind_of_refusal(message: str) -> FailureKind:
    for kind, words in (
        (FailureKind.CREDENTIAL, _CREDIT_WORDS),
        (FailureKind.CONTEXT_LENGTH, _CONTEXT_WORDS),
        (FailureKind.CONTENT_POLICY, _POLICY_WORDS),
    ):
        if any(found in message for found in words):
            return kind
    return FailureKind.REFUSED

"""Error answers of OpenAI-style upstreams, put into classes.

The HTTP status decides, except where an error's own words know better: a quota that is used up comes as
429, a wrong key as 400. An error inside a 200 has no status of its own, so one is found in its words.
"""

from typing import Final

import msgspec

from adapters.dialect import Failure, FailureKind, Headers
from adapters.openai.error_body import ErrorView, read_body, read_value
from adapters.openai.retry_after import read_retry_after

_CONTEXT_CODES: Final = frozenset(
    {"context_length_exceeded", "string_above_max_length", "exceed_context_size_error"}
)
_CONTEXT_WORDS: Final = (
    "maximum context length",
    "maximum prompt length",
    "context length exceeded",
    "context size",
    "context window",
    "exceeds the maximum number of tokens",
    "prompt is too long",
    "too many tokens",
)
_POLICY_CODES: Final = frozenset(
    {"content_filter", "content_policy_violation", "moderation_blocked"}
)
# OpenRouter says it with a 403, which would otherwise speak of the operator's key.
_POLICY_WORDS: Final = ("requires moderation", "input was flagged")
_RATE_CODES: Final = frozenset({"rate_limit_exceeded", "rate_limit_error", "too_many_requests"})
_OVERLOAD_CODES: Final = frozenset(
    {
        "api_error",
        "internal_error",
        "overloaded_error",
        "server_error",
        "server_is_overloaded",
        "slow_down",
    }
)
_QUOTA_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_KEY_CODES: Final = frozenset({"invalid_api_key", "authentication_error", "permission_error"})
_KEY_WORDS: Final = ("incorrect api key", "invalid api key", "api key not valid")

_STATUS_OF_CODES: Final = (
    (_RATE_CODES, 429),
    (_KEY_CODES | _QUOTA_CODES, 401),
    (_OVERLOAD_CODES, 503),
    (_CONTEXT_CODES | _POLICY_CODES | {"invalid_request_error"}, 400),
)


def classify(status: int, headers: Headers, body: bytes, *, now_at: float) -> Failure:
    """Put an error answer into its class. `now_at`: unix seconds, for a Retry-After given as a date."""
    return _failure(status, read_body(body), retry_after=read_retry_after(headers, now_at))


def classify_object(error: msgspec.Raw) -> Failure:
    """Put the value of an `error` field of a 200 answer or a stream event into its class."""
    return _failure_inside(read_value(error))


def classify_event(data: bytes) -> Failure:
    """Put the data of a stream event that is an error as a whole into its class."""
    return _failure_inside(read_body(data))


def _failure_inside(error: ErrorView) -> Failure:
    return _failure(_status_of(error), error, retry_after=None)


def _failure(status: int, error: ErrorView, *, retry_after: float | None) -> Failure:
    message = error.message_text() or f"The provider answered with status {status}."
    kind = _kind(status, names=error.names(), message=message.lower())
    return Failure(
        kind=kind,
        status=400 if kind is FailureKind.CONTENT_POLICY else status,
        message=message,
        type=error.text("type"),
        code=error.text("code"),
        param=error.text("param"),
        retry_after=retry_after,
    )


def _kind(status: int, *, names: set[str], message: str) -> FailureKind:
    if 400 <= status < 500 and _is_about_content(names, message):
        return FailureKind.CONTENT_POLICY
    if status in {401, 402, 403} or names & _QUOTA_CODES:
        return FailureKind.CREDENTIAL
    if status == 429:
        return FailureKind.RATE_LIMITED
    if status >= 500 or status == 408:
        return FailureKind.OVERLOADED
    if status < 400:
        return FailureKind.INVALID
    return _kind_of_refusal(status, names=names, message=message)


def _is_about_content(names: set[str], message: str) -> bool:
    return bool(names & _POLICY_CODES) or any(words in message for words in _POLICY_WORDS)


def _kind_of_refusal(status: int, *, names: set[str], message: str) -> FailureKind:
    if names & _KEY_CODES or any(words in message for words in _KEY_WORDS):
        return FailureKind.CREDENTIAL
    too_long = status in {400, 413, 422} and any(words in message for words in _CONTEXT_WORDS)
    if too_long or names & _CONTEXT_CODES:
        return FailureKind.CONTEXT_LENGTH
    return FailureKind.REFUSED


def _status_of(error: ErrorView) -> int:
    """Find the HTTP status that an error inside a 200 stands for; unclear ones count as a 500."""
    for name in ("status_code", "status", "code"):
        text = error.text(name) or ""
        if len(text) == 3 and text.isdecimal() and "400" <= text <= "599":
            return int(text)
    for known, status in _STATUS_OF_CODES:
        if error.names() & known:
            return status
    return 500

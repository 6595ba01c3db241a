"""Error answers of OpenAI-style upstreams, read leniently and put into classes.

The book's form is `{"error": {"message", "type", "param", "code"}}`. In the wild `error` is a plain
string, the object stands bare (vLLM), is called `detail` (FastAPI), or lies in a list (Google).
"""

from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from adapters.dialect import Failure, FailureKind, Headers

_MAX_MESSAGE_CHARACTERS: Final = 2000

_CONTEXT_CODES: Final = frozenset({"context_length_exceeded", "string_above_max_length"})
_CONTEXT_WORDS: Final = (
    "maximum context length",
    "context length exceeded",
    "context window",
    "prompt is too long",
    "too many tokens",
)
_POLICY_CODES: Final = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})
_RATE_CODES: Final = frozenset({"rate_limit_exceeded", "rate_limit_error", "too_many_requests"})
_OVERLOAD_CODES: Final = frozenset(
    {"server_error", "overloaded_error", "server_is_overloaded", "slow_down", "internal_error", "api_error"}
)
_QUOTA_CODES: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_KEY_CODES: Final = frozenset({"invalid_api_key", "authentication_error", "permission_error"})


def classify(status: int, headers: Headers, body: bytes, *, now_at: float) -> Failure:
    """Put an error answer into its class. `now_at`: unix seconds, for a Retry-After given as a date."""
    error = _find_error(body)
    return _failure(status, error, retry_after=_retry_after(headers, now_at))


def classify_object(error: Any) -> Failure:  # noqa: ANN401 - whatever JSON the upstream sent
    """Put an `error` value found inside a 200 answer or a stream event into its class."""
    fields = error if isinstance(error, dict) else {"message": str(error)}
    return _failure(_status_of(fields), fields, retry_after=None)


def _failure(status: int, error: dict[str, Any], *, retry_after: float | None) -> Failure:
    message = _text(error.get("message")) or f"The provider answered with status {status}."
    code = _text(error.get("code"))
    kind = _kind(status, message=message, names={code, _text(error.get("type"))})
    return Failure(
        kind=kind,
        status=status,
        message=message[:_MAX_MESSAGE_CHARACTERS],
        type=_text(error.get("type")),
        code=code,
        param=_text(error.get("param")),
        retry_after=retry_after,
    )


def _kind(status: int, *, message: str, names: set[str | None]) -> FailureKind:
    if names & _QUOTA_CODES or status in {401, 402, 403}:
        return FailureKind.CREDENTIAL
    if status == 429:
        return FailureKind.RATE_LIMITED
    if status >= 500 or status == 408:
        return FailureKind.OVERLOADED
    if status < 400:
        return FailureKind.INVALID
    if names & _POLICY_CODES:
        return FailureKind.CONTENT_POLICY
    if names & _CONTEXT_CODES or (
        status in {400, 413, 422} and any(words in message.lower() for words in _CONTEXT_WORDS)
    ):
        return FailureKind.CONTEXT_LENGTH
    return FailureKind.REFUSED


def _status_of(error: dict[str, Any]) -> int:
    """Find the HTTP status that an error inside a 200 stands for; unclear ones count as overload."""
    for name in ("status_code", "status", "code"):
        value = error.get(name)
        if isinstance(value, str) and value.isdecimal():
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    names = {_text(error.get("code")), _text(error.get("type"))}
    for known, status in ((_RATE_CODES, 429), (_KEY_CODES, 401), (_OVERLOAD_CODES, 503)):
        if names & known:
            return status
    return 400 if names & (_CONTEXT_CODES | _POLICY_CODES | {"invalid_request_error"}) else 500


def _find_error(body: bytes) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"message": body.decode("utf-8", "replace").strip()[:_MAX_MESSAGE_CHARACTERS]}
    if isinstance(found, list) and found:
        found = found[0]
    if not isinstance(found, dict):
        return {}
    for name in ("error", "detail"):
        inner = found.get(name)
        if isinstance(inner, dict):
            return inner
        if isinstance(inner, str):
            return {"message": inner}
    return found


def _text(value: Any) -> str | None:  # noqa: ANN401 - whatever JSON the upstream sent
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _retry_after(headers: Headers, now_at: float) -> float | None:
    """Read `retry-after-ms`, else `retry-after` in seconds or as an HTTP date (RFC 9110, 10.2.3)."""
    found = dict(headers)
    for name, scale in ((b"retry-after-ms", 0.001), (b"retry-after", 1.0)):
        text = found.get(name, b"").decode("latin-1").strip()
        if not text:
            continue
        seconds = _number(text)
        if seconds is not None:
            return max(0.0, seconds * scale)
        date = _date(text)
        if date is not None:
            return max(0.0, date - now_at)
    return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _date(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None

"""Bedrock's error answers, put into classes by the name of the exception.

The name stands in the header `x-amzn-errortype` before a colon, or in the body's `__type` behind a `#`; in a
stream it is that of the frame. The body's message is written with a small or a capital letter. A validation
that fails may mean a prompt that is too long, and some refusals an account that has no right to the model:
only the words tell. An error that the model itself gave carries the model's own status.

Source: "Converse" in the API reference of Amazon Bedrock Runtime; "Common errors" there.
"""

from typing import Final

import msgspec

from adapters.bedrock.frame import Frame
from adapters.dialect import Failure, FailureKind, Headers
from adapters.openai.foreign import UNREADABLE
from adapters.openai.retry_after import read_retry_after

_LONGEST_MESSAGE: Final = 2000
_RATE: Final = (429, FailureKind.RATE_LIMITED)
_KEY: Final = (403, FailureKind.CREDENTIAL)

# What decides by its name alone: the status that it has where the wire tells none, and its class.
_CLASSES: Final = {
    "throttlingexception": _RATE,
    "throttledexception": _RATE,
    "toomanyrequestsexception": _RATE,
    "servicequotaexceededexception": _RATE,
    "modelnotreadyexception": (429, FailureKind.OVERLOADED),
    "serviceunavailableexception": (503, FailureKind.OVERLOADED),
    "serviceunavailable": (503, FailureKind.OVERLOADED),
    "internalserverexception": (500, FailureKind.OVERLOADED),
    "internalfailure": (500, FailureKind.OVERLOADED),
    "modeltimeoutexception": (408, FailureKind.OVERLOADED),
    "accessdeniedexception": _KEY,
    "accessdenied": _KEY,
    "expiredtoken": _KEY,
    "expiredtokenexception": _KEY,
    "incompletesignature": _KEY,
    "incompletesignatureexception": _KEY,
    "invalidclienttokenid": _KEY,
    "invalidsignatureexception": _KEY,
    "missingauthenticationtoken": _KEY,
    "missingauthenticationtokenexception": _KEY,
    "notauthorized": _KEY,
    "optinrequired": _KEY,
    "requestexpired": _KEY,
    "unrecognizedclientexception": _KEY,
}
_OF_MODEL: Final = frozenset({"modelerrorexception", "modelstreamerrorexception"})
_STATUSES: Final = {"validationexception": 400, "resourcenotfoundexception": 404}
_WORDS: Final = (
    (
        FailureKind.CONTEXT_LENGTH,
        (
            "input is too long",
            "prompt is too long",
            "too many input tokens",
            "too many tokens",
            "exceed context limit",
            "context window",
            "context length",
            "input tokens exceeds",
            "exceeds the maximum number of tokens",
        ),
    ),
    (
        FailureKind.CONTENT_POLICY,
        ("content filtering policy", "content filter", "responsible ai policy"),
    ),
    (
        FailureKind.CREDENTIAL,
        ("operation not allowed", "use case details", "have access to the model", "access denied"),
    ),
)


class _Told(msgspec.Struct):
    message: str | None = None
    capital_message: str | None = msgspec.field(default=None, name="Message")
    original_message: str | None = msgspec.field(default=None, name="originalMessage")
    original_status: int | None = msgspec.field(default=None, name="originalStatusCode")
    kind: str | None = msgspec.field(default=None, name="__type")


_decode: Final = msgspec.json.Decoder(_Told).decode


def classify(status: int, headers: Headers, body: bytes, *, now_at: float) -> Failure:
    """Put an error answer into its class. `now_at`: unix seconds, for a Retry-After given as a date."""
    told = _read(body)
    named = next((value for name, value in headers if name == b"x-amzn-errortype"), b"")
    name = named.decode("latin-1").partition(":")[0] or (told.kind or "").rpartition("#")[2]
    retry_after = read_retry_after(headers, now_at)
    return _failure(name.strip(), told, status=status, retry_after=retry_after)


def classify_exception(frame: Frame) -> Failure:
    """Put a frame that is no event into its class."""
    plain = frame.told.decode("utf-8", "replace")
    told = _read(frame.told) if frame.kind == "exception" else _Told(message=plain)
    return _failure(frame.name, told, status=None, retry_after=None)


def _read(body: bytes) -> _Told:
    try:
        return _decode(body)
    except UNREADABLE:
        return _Told(message=body.decode("utf-8", "replace"))


def _failure(name: str, told: _Told, *, status: int | None, retry_after: float | None) -> Failure:
    found = told.message or told.capital_message or told.original_message or ""
    message = found.strip()[:_LONGEST_MESSAGE] or f"The provider answered with {name or status}."
    usual, kind = _class_of(name.lower(), told, status, message.lower())
    return Failure(
        kind=kind,
        status=400 if kind is FailureKind.CONTENT_POLICY else status or usual,
        message=message,
        type=name or None,
        code="context_length_exceeded" if kind is FailureKind.CONTEXT_LENGTH else None,
        retry_after=retry_after,
    )


def _class_of(name: str, told: _Told, status: int | None, message: str) -> tuple[int, FailureKind]:
    """Return the status for a name, and the class."""
    if name in _CLASSES:
        return _CLASSES[name]
    usual = _STATUSES.get(name, 500)
    if name in _OF_MODEL:
        usual = 424
        status = told.original_status or 500
    return usual, _kind(usual if status is None else status, message)


def _kind(status: int, message: str) -> FailureKind:
    if status in {401, 402, 403}:
        return FailureKind.CREDENTIAL
    if status == 429:
        return FailureKind.RATE_LIMITED
    if status >= 500 or status in {408, 424}:
        return FailureKind.OVERLOADED
    if status < 400:
        return FailureKind.INVALID
    for kind, words in _WORDS:
        if any(found in message for found in words):
            return kind
    return FailureKind.REFUSED

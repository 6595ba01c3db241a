"""Cohere's error answers: a bare `{"message"}`, which OpenAI's reader of errors knows, and two statuses more.

498 stands for a token that is not valid, 499 for a request that was given up on. Source: Cohere's API
reference, "Errors".
"""

from typing import Final

import msgspec

from adapters.dialect import Failure, FailureKind, Headers
from adapters.openai import error as openai

_GIVEN_UP: Final = 499
_BAD_TOKEN: Final = 498
_CAP_WORDS: Final = "max tokens must be"  # begins like a prompt that is too long, and is none


def classify(status: int, headers: Headers, body: bytes, *, now_at: float) -> Failure:
    """Put an error answer into its class. `now_at`: unix seconds, for a Retry-After given as a date."""
    failure = openai.classify(status, headers, body, now_at=now_at)
    kind = failure.kind
    if status == _BAD_TOKEN:
        kind = FailureKind.CREDENTIAL
    elif status == _GIVEN_UP:
        kind = FailureKind.OVERLOADED
    elif kind is FailureKind.CONTEXT_LENGTH and _CAP_WORDS in failure.message.lower():
        kind = FailureKind.REFUSED
    code = "context_length_exceeded" if kind is FailureKind.CONTEXT_LENGTH else failure.code
    return msgspec.structs.replace(failure, kind=kind, code=code)


def broken_off(reason: str, message: str | None) -> Failure:
    """Return the failure of an answer that the provider itself could not finish."""
    told = message or f"The provider could not finish its answer ({reason})."
    return Failure(kind=FailureKind.OVERLOADED, status=503, message=told, code=reason.lower())

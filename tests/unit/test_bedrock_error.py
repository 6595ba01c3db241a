"""Bedrock's error answers, put into classes."""

import json
from typing import Any

import pytest

from adapters.dialect import Failure, FailureKind
from tests.unit.bedrock_wire import UPSTREAM

REASON = ":http://internal.amazon.com/coral/com.amazon.bedrock/"
SPACE = "com.amazon.coral.service#"


def classified(status: int, name: str, body: Any, **headers: str) -> Failure:
    found = [(b"content-type", b"application/json")]
    if name:
        found.append((b"x-amzn-errortype", name.encode()))
    found += [(key.replace("_", "-").encode(), value.encode()) for key, value in headers.items()]
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return UPSTREAM.classify_error(status, found, data, now_at=0.0)


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (429, "ThrottlingException", "Too many requests.", FailureKind.RATE_LIMITED),
        (429, "ThrottlingException", "Too many tokens, please wait.", FailureKind.RATE_LIMITED),
        (429, "TooManyRequestsException", "Slow.", FailureKind.RATE_LIMITED),
        (400, "ServiceQuotaExceededException", "Quota.", FailureKind.RATE_LIMITED),
        (429, "ModelNotReadyException", "Not ready.", FailureKind.OVERLOADED),
        (503, "ServiceUnavailableException", "Busy.", FailureKind.OVERLOADED),
        (500, "InternalServerException", "Oops.", FailureKind.OVERLOADED),
        (408, "ModelTimeoutException", "Slow.", FailureKind.OVERLOADED),
        (424, "ModelErrorException", "Broke.", FailureKind.OVERLOADED),
        (403, "AccessDeniedException", "You don't have access.", FailureKind.CREDENTIAL),
        (403, "UnrecognizedClientException", "The token is invalid.", FailureKind.CREDENTIAL),
        (403, "InvalidSignatureException", "Signature expired.", FailureKind.CREDENTIAL),
        (403, "ExpiredTokenException", "Expired.", FailureKind.CREDENTIAL),
        (400, "IncompleteSignatureException", "Not so.", FailureKind.CREDENTIAL),
        (403, "MissingAuthenticationTokenException", "None.", FailureKind.CREDENTIAL),
        (400, "ValidationException", "Operation not allowed", FailureKind.CREDENTIAL),
        (
            404,
            "ResourceNotFoundException",
            "Model use case details have not been submitted for this account.",
            FailureKind.CREDENTIAL,
        ),
        (404, "ResourceNotFoundException", "No such model.", FailureKind.REFUSED),
        (400, "ValidationException", "Malformed input request.", FailureKind.REFUSED),
        (
            400,
            "ValidationException",
            "The provided model identifier is invalid.",
            FailureKind.REFUSED,
        ),
        (
            400,
            "ValidationException",
            "Input is too long for requested model.",
            FailureKind.CONTEXT_LENGTH,
        ),
        (
            400,
            "ValidationException",
            "The model returned the following errors: prompt is too long: 210000 tokens > 200000 maximum",
            FailureKind.CONTEXT_LENGTH,
        ),
        (
            400,
            "ValidationException",
            "input length and `max_tokens` exceed context limit: 199000 + 8000 > 200000",
            FailureKind.CONTEXT_LENGTH,
        ),
        (
            400,
            "ValidationException",
            "This model's maximum context length is 131072 tokens.",
            FailureKind.CONTEXT_LENGTH,
        ),
        (
            400,
            "ValidationException",
            "Output blocked by content filtering policy",
            FailureKind.CONTENT_POLICY,
        ),
    ],
)
def test_an_error_is_classed_by_its_name_and_words(
    status: int, name: str, message: str, kind: FailureKind
) -> None:
    in_header = classified(status, name + REASON, {"message": message})
    assert in_header.kind is kind
    assert (in_header.status, in_header.message, in_header.type) == (status, message, name)
    assert classified(status, "", {"__type": SPACE + name, "message": message}) == in_header
    assert classified(status, name, {"Message": message}) == in_header


def test_a_prompt_that_is_too_long_has_the_code_that_agents_know() -> None:
    failure = classified(400, "ValidationException", {"message": "Input is too long for it."})
    assert failure.code == "context_length_exceeded"
    assert classified(400, "ValidationException", {"message": "No."}).code is None


@pytest.mark.parametrize(
    ("original", "kind"),
    [
        (429, FailureKind.RATE_LIMITED),
        (400, FailureKind.REFUSED),
        (403, FailureKind.CREDENTIAL),
        (500, FailureKind.OVERLOADED),
        (503, FailureKind.OVERLOADED),
        (None, FailureKind.OVERLOADED),
    ],
)
def test_an_error_of_the_model_counts_by_the_models_status(
    original: int | None, kind: FailureKind
) -> None:
    body = {"message": "Broke.", "originalStatusCode": original, "resourceName": "m"}
    failure = classified(424, "ModelErrorException", body)
    assert (failure.kind, failure.status) == (kind, 424)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, FailureKind.INVALID),
        (400, FailureKind.REFUSED),
        (401, FailureKind.CREDENTIAL),
        (403, FailureKind.CREDENTIAL),
        (404, FailureKind.REFUSED),
        (408, FailureKind.OVERLOADED),
        (413, FailureKind.REFUSED),
        (424, FailureKind.OVERLOADED),
        (429, FailureKind.RATE_LIMITED),
        (500, FailureKind.OVERLOADED),
        (529, FailureKind.OVERLOADED),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"{}", b"[1]", b"\xff", b"[" * 100_000])
def test_an_error_without_a_name_counts_by_its_status(
    status: int, kind: FailureKind, body: bytes
) -> None:
    failure = classified(status, "", body)
    assert (failure.kind, failure.status, failure.type) == (kind, status, None)
    assert failure.message
    assert len(failure.message) <= 2000


def test_how_long_to_wait_is_read() -> None:
    failure = classified(429, "ThrottlingException", {"message": "Slow."}, retry_after="7")
    assert failure.retry_after == 7.0
    assert classified(429, "ThrottlingException", {"message": "Slow."}).retry_after is None

"""Gemini's and Vertex AI's error answers and their classes."""

import json
from typing import Any

import pytest

from adapters.dialect import Failure, FailureKind
from tests.unit.gemini_wire import UPSTREAM

RPC = "type.googleapis.com/google.rpc."


def classify(status: int, body: Any, headers: list[tuple[bytes, bytes]] | None = None) -> Failure:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return UPSTREAM.classify_error(status, headers or [], raw, now_at=0.0)


def error(code: int, status: str, message: str = "It failed.", *details: Any) -> Any:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def info(reason: str) -> Any:
    return {"@type": RPC + "ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def wait(delay: Any) -> Any:
    return {"@type": RPC + "RetryInfo", "retryDelay": delay}


QUOTA = {"@type": RPC + "QuotaFailure", "violations": [{"quotaId": "PerMinute"}]}
TOO_LONG = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, error(429, "RESOURCE_EXHAUSTED"), FailureKind.RATE_LIMITED),
        (503, error(503, "UNAVAILABLE", "The model is overloaded."), FailureKind.OVERLOADED),
        (500, error(500, "INTERNAL"), FailureKind.OVERLOADED),
        (504, error(504, "DEADLINE_EXCEEDED"), FailureKind.OVERLOADED),
        (499, error(499, "CANCELLED"), FailureKind.OVERLOADED),
        (408, b"", FailureKind.OVERLOADED),
        (400, error(400, "INVALID_ARGUMENT"), FailureKind.REFUSED),
        (404, error(404, "NOT_FOUND", "models/x is not found"), FailureKind.REFUSED),
        (400, error(400, "INVALID_ARGUMENT", TOO_LONG), FailureKind.CONTEXT_LENGTH),
        (
            400,
            error(
                400,
                "INVALID_ARGUMENT",
                "Unable to submit request because the input token count is 9, the most is 8.",
            ),
            FailureKind.CONTEXT_LENGTH,
        ),
        (401, error(401, "UNAUTHENTICATED"), FailureKind.CREDENTIAL),
        (403, error(403, "PERMISSION_DENIED"), FailureKind.CREDENTIAL),
        (
            400,
            error(400, "INVALID_ARGUMENT", "Bad.", info("API_KEY_INVALID")),
            FailureKind.CREDENTIAL,
        ),
        (
            400,
            error(400, "INVALID_ARGUMENT", "API key expired. Please renew it."),
            FailureKind.CREDENTIAL,
        ),
        (
            400,
            error(400, "FAILED_PRECONDITION", "User location is not supported for the API use."),
            FailureKind.CREDENTIAL,
        ),
        (301, b"", FailureKind.INVALID),
        (429, [error(429, "RESOURCE_EXHAUSTED")], FailureKind.RATE_LIMITED),
        (502, b"<html>Bad gateway", FailureKind.OVERLOADED),
        (400, {"error": "as a text"}, FailureKind.REFUSED),
        (400, {"error": {"message": {"deep": 1}}}, FailureKind.REFUSED),
        (400, {"error": None}, FailureKind.REFUSED),
        (400, b'{"error": "\xff"}', FailureKind.REFUSED),
    ],
)
def test_an_error_answer_has_its_class(status: int, body: Any, kind: FailureKind) -> None:
    failure = classify(status, body)
    assert (failure.kind, failure.status) == (kind, status)
    assert failure.message


@pytest.mark.parametrize(
    ("details", "headers", "expected"),
    [
        ([QUOTA, wait("34.07s")], [], 34.07),
        ([wait("34s")], [(b"retry-after", b"7")], 34.0),
        ([], [(b"retry-after", b"7")], 7.0),
        ([wait("0s")], [], 0.0),
        ([wait("1e12s")], [], 31 * 24 * 3600.0),
        ([wait("soon")], [], None),
        ([wait("nans")], [], None),
        ([wait("-5s")], [], None),
        ([wait(5)], [], None),
        (["no object", {"retryDelay": None}, wait("2s")], [], 2.0),
        ([], [], None),
    ],
)
def test_the_wait_is_googles_own_or_the_headers(
    details: list[Any], headers: list[tuple[bytes, bytes]], expected: float | None
) -> None:
    found = classify(429, error(429, "RESOURCE_EXHAUSTED", "Slow.", *details), headers)
    assert found.retry_after == expected


@pytest.mark.parametrize(
    ("status", "body", "type_", "code"),
    [
        (
            400,
            error(400, "INVALID_ARGUMENT", TOO_LONG),
            "invalid_request_error",
            "context_length_exceeded",
        ),
        (400, error(400, "INVALID_ARGUMENT"), "invalid_request_error", "INVALID_ARGUMENT"),
        (
            429,
            error(429, "RESOURCE_EXHAUSTED", "x", info("RATE_LIMIT_EXCEEDED")),
            "RESOURCE_EXHAUSTED",
            "RATE_LIMIT_EXCEEDED",
        ),
        (503, b"", None, None),
    ],
)
def test_a_failure_keeps_its_names(
    status: int, body: Any, type_: str | None, code: str | None
) -> None:
    failure = classify(status, body)
    assert (failure.type, failure.code) == (type_, code)


def test_the_message_is_the_providers_and_of_bounded_length() -> None:
    assert classify(400, error(400, "INVALID_ARGUMENT", " Why? ")).message == "Why?"
    assert classify(502, b"Bad gateway").message == "Bad gateway"
    assert len(classify(400, error(400, "X", "y" * 9000)).message) == 2000
    assert classify(503, b"").message == "The provider answered with status 503."

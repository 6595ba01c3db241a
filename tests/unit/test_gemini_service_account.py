"""The token of a service account: the statement to be signed, and the answer to it."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from adapters.dialect import BadAnswer, FailureKind
from adapters.gemini.key_file import BadKeyFile, ServiceAccount, read_key_file
from adapters.gemini.service_account import Token, read_token, statement, token_form

SECRET = "-----BEGIN PRIVATE KEY-----\nnot-a-key\n-----END PRIVATE KEY-----\n"
FILE = {
    "type": "service_account",
    "project_id": "shop",
    "private_key_id": "k1",
    "private_key": SECRET,
    "client_email": "gateway@shop.iam.gserviceaccount.com",
    "client_id": "1",
    "token_uri": "https://oauth2.googleapis.com/token",
}


def account(**changes: Any) -> ServiceAccount:
    return read_key_file(json.dumps({**FILE, **changes}).encode())


def decoded(part: bytes) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)))


def test_the_statement_names_account_purpose_and_time() -> None:
    head, claims = statement(account(), now_at=1000.9).split(b".")
    assert decoded(head) == {"alg": "RS256", "typ": "JWT", "kid": "k1"}
    assert decoded(claims) == {
        "iss": "gateway@shop.iam.gserviceaccount.com",
        "scope": "https://www.googleapis.com/auth/cloud-platform",
        "aud": "https://oauth2.googleapis.com/token",
        "iat": 1000,
        "exp": 4600,
    }


def test_the_form_carries_the_statement_with_its_signature() -> None:
    signed = statement(account(), now_at=0.0)
    form = parse_qs(token_form(signed, b"\xfb\xff\xfe").decode(), strict_parsing=True)
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    assert form["assertion"] == [f"{signed.decode()}.-__-"]


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"[]",
        b"\xff",
        json.dumps({**FILE, "type": "authorized_user"}).encode(),
        json.dumps({**FILE, "private_key": None}).encode(),
        json.dumps({**FILE, "token_uri": "http://oauth2.googleapis.com/token"}).encode(),
        json.dumps({key: value for key, value in FILE.items() if key != "client_email"}).encode(),
    ],
)
def test_a_bad_key_file_is_refused_without_quoting_it(file: bytes) -> None:
    with pytest.raises(BadKeyFile) as refused:
        read_key_file(file)
    assert "not-a-key" not in str(refused.value)


def test_neither_key_nor_token_appear_in_a_text() -> None:
    assert "not-a-key" not in repr(account())
    assert "hush" not in repr(Token("hush", 1.0))


def test_a_token_lasts_as_long_as_it_says() -> None:
    body = b'{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}'
    token = read_token(200, body, now=100.0)
    assert (token.value, token.expires_at) == ("ya29.x", 3699.0)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (
            400,
            b'{"error":"invalid_grant","error_description":"Invalid JWT Signature."}',
            FailureKind.CREDENTIAL,
            "Invalid JWT Signature.",
        ),
        (401, b"", FailureKind.CREDENTIAL, "The token service answered with status 401."),
        (429, b"{}", FailureKind.OVERLOADED, "The token service answered with status 429."),
        (503, b"<html>", FailureKind.OVERLOADED, "The token service answered with status 503."),
        (
            200,
            b'{"id_token":"x"}',
            FailureKind.INVALID,
            "The token service's answer cannot be read.",
        ),
        (
            200,
            b'{"access_token":""}',
            FailureKind.INVALID,
            "The token service's answer cannot be read.",
        ),
    ],
)
def test_a_refused_token_is_a_failure(
    status: int, body: bytes, kind: FailureKind, message: str
) -> None:
    with pytest.raises(BadAnswer) as bad:
        read_token(status, body, now=0.0)
    assert (bad.value.failure.kind, bad.value.failure.message) == (kind, message)

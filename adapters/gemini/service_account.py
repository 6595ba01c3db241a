"""How a service account gets the bearer token that Vertex AI wants.

The account's key file holds a private key. With it one signs a statement of who asks for what, until when,
and trades that for a token which lasts about an hour. Here stand the statement and the reading of the answer;
the RSA signature (PKCS #1 v1.5 over SHA-256) and the request are the caller's.
Source: Google's "Using OAuth 2.0 for server to server applications"; RFC 7523.
"""

import base64
from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from adapters.dialect import BadAnswer, Failure, FailureKind
from adapters.openai.foreign import UNREADABLE

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
FORM_TYPE: Final = b"application/x-www-form-urlencoded"

_LIFETIME_SECONDS: Final = 3600  # the longest that Google grants
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_encode: Final = msgspec.json.encode


class BadKeyFile(ValueError):
    """A key file that is none of a service account; the message never holds a part of the key."""


class ServiceAccount(msgspec.Struct, frozen=True, tag_field="type", tag="service_account"):
    """A key file's contents. `private_key` is PEM and appears in no text made of the account."""

    client_email: str
    private_key: str
    private_key_id: str
    token_uri: str = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
    project_id: str | None = None

    def __repr__(self) -> str:
        return f"ServiceAccount({self.client_email!r})"


class Token(msgspec.Struct, frozen=True):
    """A bearer token, good until `expires_at` (unix seconds)."""

    value: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


class _Granted(msgspec.Struct):
    access_token: Annotated[str, msgspec.Meta(min_length=1)]
    expires_in: Annotated[float, msgspec.Meta(gt=0)] = _LIFETIME_SECONDS


class _Refused(msgspec.Struct):
    error: str = ""
    error_description: str = ""


_decode_account: Final = msgspec.json.Decoder(ServiceAccount).decode
_decode_granted: Final = msgspec.json.Decoder(_Granted).decode
_decode_refused: Final = msgspec.json.Decoder(_Refused).decode


def read_key_file(text: bytes) -> ServiceAccount:
    """Read a key file. Raises `BadKeyFile`."""
    try:
        account = _decode_account(text)
    except msgspec.ValidationError as error:
        raise BadKeyFile(f"This is no service account's key file: {error}") from None
    except UNREADABLE:
        raise BadKeyFile("The key file is no JSON.") from None
    if urlsplit(account.token_uri).scheme != "https":
        raise BadKeyFile("The key file's 'token_uri' must begin with https://.")
    return account


def statement(account: ServiceAccount, *, now_at: float) -> bytes:
    """Return what is to be signed, RS256: a JWT's head and claims. `now_at`: unix seconds."""
    head = {"alg": "RS256", "typ": "JWT", "kid": account.private_key_id}
    claims = {
        "iss": account.client_email,
        "scope": SCOPE,
        "aud": account.token_uri,
        "iat": int(now_at),
        "exp": int(now_at) + _LIFETIME_SECONDS,
    }
    return b".".join(_url_safe(_encode(said)) for said in (head, claims))


def token_form(signed: bytes, signature: bytes) -> bytes:
    """Return the body of the request to the account's `token_uri`, of the type `FORM_TYPE`."""
    assertion = b".".join((signed, _url_safe(signature)))
    return urlencode({"grant_type": _GRANT, "assertion": assertion.decode()}).encode()


def read_token(status: int, body: bytes, *, now_at: float) -> Token:
    """Read the answer to that request. Raises `BadAnswer`; a refusal is a matter of the credential."""
    if status != 200:
        raise BadAnswer(_refusal(status, body))
    try:
        granted = _decode_granted(body)
    except UNREADABLE:
        told = "The token service's answer cannot be read."
        raise BadAnswer(Failure(kind=FailureKind.INVALID, status=status, message=told)) from None
    return Token(granted.access_token, now_at + granted.expires_in)


def _refusal(status: int, body: bytes) -> Failure:
    try:
        told = _decode_refused(body)
    except UNREADABLE:
        told = _Refused()
    busy = status >= 500 or status in {408, 429}
    return Failure(
        kind=FailureKind.OVERLOADED if busy else FailureKind.CREDENTIAL,
        status=status,
        message=told.error_description or f"The token service answered with status {status}.",
        code=told.error or None,
    )


def _url_safe(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")

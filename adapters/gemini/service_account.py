"""How a service account gets the bearer token that Vertex AI wants.

The account's key file holds a private key (see `key_file`). With it one signs a statement of who asks for
what, until when, and trades that for a token which lasts about an hour. Here stand the request, signed, and
the reading of its answer; to send it, and to keep the token, is the caller's part.
Source: Google's "Using OAuth 2.0 for server to server applications"; RFC 7523.
"""

import base64
from typing import Annotated, Final
from urllib.parse import urlencode

import msgspec

from adapters.dialect import BadAnswer, Failure, FailureKind
from adapters.gemini.extra import signature_of
from adapters.gemini.key_file import ServiceAccount
from adapters.openai.foreign import UNREADABLE

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
FORM_TYPE: Final = b"application/x-www-form-urlencoded"

_LIFETIME_SECONDS: Final = 3600  # the longest that Google grants
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_encode: Final = msgspec.json.encode


class Token(msgspec.Struct, frozen=True):
    """A bearer token, good until `expires_at` by the clock that its reader was given."""

    value: str
    expires_at: float

    def __repr__(self) -> str:
        return f"Token(expires_at={self.expires_at})"


class TokenRequest(msgspec.Struct, frozen=True):
    """What is posted to the account's `token_uri`."""

    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


class _Granted(msgspec.Struct):
    access_token: Annotated[str, msgspec.Meta(min_length=1)]
    expires_in: Annotated[float, msgspec.Meta(gt=0)] = _LIFETIME_SECONDS


class _Refused(msgspec.Struct):
    error: str = ""
    error_description: str = ""


_decode_granted: Final = msgspec.json.Decoder(_Granted).decode
_decode_refused: Final = msgspec.json.Decoder(_Refused).decode


def token_request(account: ServiceAccount, *, now_at: float) -> TokenRequest:
    """Return the signed request for a token. Raises `MissingExtra`, `BadKeyFile`. `now_at`: unix seconds."""
    signed = statement(account, now_at=now_at)
    form = token_form(signed, signature_of(account, signed))
    return TokenRequest(((b"content-type", FORM_TYPE), (b"accept", b"application/json")), form)


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


def read_token(status: int, body: bytes, *, now: float) -> Token:
    """Read the answer to that request, sent at `now`, seconds by any clock.

    Raises `BadAnswer`; a refusal is a matter of the credential.
    """
    if status != 200:
        raise BadAnswer(_refusal(status, body))
    try:
        granted = _decode_granted(body)
    except UNREADABLE:
        told = "The token service's answer cannot be read."
        raise BadAnswer(Failure(kind=FailureKind.INVALID, status=status, message=told)) from None
    return Token(granted.access_token, now + granted.expires_in)


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

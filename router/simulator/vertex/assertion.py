"""The statement with which a service account asks for a token, checked: a JWT signed by its private key.

A signature is checked by raising it to the public exponent, which needs no library: what comes out must be
the padding and the digest that RFC 8017 (section 9.2) prescribes. Without a public key of the account it is
held against its form alone. Sources: RFC 7523; Google's "Using OAuth 2.0 for server to server applications".
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec

from router.simulator.refusal import Refusal

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
LONGEST_SECONDS: Final = 3600
_SKEW_SECONDS: Final = 300
_DIGEST_INFO: Final = bytes.fromhex("3031300d060960864801650304020105000420")


class PublicKey(msgspec.Struct, frozen=True):
    """An RSA key's public half."""

    modulus: int
    exponent: int = 65537


class _Head(msgspec.Struct, frozen=True):
    alg: Literal["RS256"]
    typ: Literal["JWT"]
    kid: str | None = None


class _Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    iss: Annotated[str, msgspec.Meta(min_length=1)]
    scope: str
    aud: str
    iat: int
    exp: int
    sub: str | None = None


_HEAD: Final = msgspec.json.Decoder(_Head)
_CLAIMS: Final = msgspec.json.Decoder(_Claims)


def check_assertion(
    text: str, *, accounts: Mapping[str, PublicKey], host: str, now_at: float
) -> str:
    """Return the account that a statement is of. Raises Refusal.

    `accounts` are the public keys by the account's address, `host` is who was asked, `now_at` unix seconds.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise _refused("Bad Request: the assertion is no JWT.")
    try:
        head, claims, signature = map(_decoded, parts)
        _HEAD.decode(head)
        said = _CLAIMS.decode(claims)
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise _refused(f"Invalid JWT: {error}") from None
    _check_claims(said, host=host, now_at=now_at)
    if accounts:
        signed = text.rpartition(".")[0].encode()
        _check_signature(said.iss, signed, signature, accounts)
    return said.iss


def _check_claims(said: _Claims, *, host: str, now_at: float) -> None:
    if SCOPE not in said.scope.split():
        raise Refusal(400, "No valid scope was given.", code="invalid_scope")
    if urlsplit(said.aud).netloc.partition(":")[0] != host.partition(":")[0]:
        raise _refused("Invalid JWT: the audience is not this token service.")
    in_time = said.iat <= now_at + _SKEW_SECONDS and said.exp > now_at - _SKEW_SECONDS
    if not in_time or not 0 < said.exp - said.iat <= LONGEST_SECONDS:
        told = "Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
        raise _refused(f"Invalid JWT: {told} Check your iat and exp values in the JWT claim.")


def _check_signature(
    account: str, signed: bytes, signature: bytes, accounts: Mapping[str, PublicKey]
) -> None:
    key = accounts.get(account)
    if key is None:
        raise _refused("Invalid grant: account not found")
    size = (key.modulus.bit_length() + 7) // 8
    tail = b"\0" + _DIGEST_INFO + hashlib.sha256(signed).digest()
    expected = b"\0\1" + b"\xff" * (size - len(tail) - 2) + tail
    value = int.from_bytes(signature)
    if value >= key.modulus or pow(value, key.exponent, key.modulus).to_bytes(size) != expected:
        raise _refused("Invalid JWT Signature.")


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _refused(message: str) -> Refusal:
    return Refusal(400, message, code="invalid_grant")

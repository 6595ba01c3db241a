"""Who asks: a bearer token (a Bedrock API key), or AWS's signature over the whole request.

The signature is recomputed from what arrived, by the published steps and with nothing but hashes, so that a
mistake of the signer cannot hide in code that both sides share. A key of the simulator's that is written
`ID:SECRET` or `ID:SECRET:TOKEN` is an access key, any other a bearer's; without any key a signature is held
against its form alone. Whether its time is now is not checked, since a simulated provider's clock may stand.
Source: "Signature Version 4 signing process" in the AWS General Reference.
"""

import hashlib
import hmac
import re
from typing import Final, NamedTuple
from urllib.parse import quote

from router.simulator.counts import SeenRequest
from router.simulator.refusal import Refusal

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_SERVICE: Final = "bedrock"
_LAST: Final = "aws4_request"
_PROOF: Final = re.compile(
    rf"{_ALGORITHM} Credential=(?P<id>[^/,\s]+)/(?P<scope>[^,\s]+), ?"
    r"SignedHeaders=(?P<names>[a-z0-9;-]+), ?Signature=(?P<signature>[0-9a-f]{64})"
)
_STAMP: Final = re.compile(r"\d{8}T\d{6}Z")
_REGION: Final = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")


class AccessKey(NamedTuple):
    """What a signature is made with; `token` goes with a key that is good for a while only."""

    secret: str
    token: str


class _Proof(NamedTuple):
    """What the header says: who signed, for when and where, over which headers."""

    key_id: str
    scope: str
    names: list[str]
    signature: str


def check_caller(request: SeenRequest, keys: frozenset[bytes]) -> None:
    """Raise Refusal for a request without proof of a caller, or with none by these keys if there are any."""
    said = (request.header(b"authorization") or b"").decode("latin-1")
    scheme, _, token = said.partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        if keys and token.strip().encode("latin-1") not in _bearers(keys):
            told = "Authentication failed: Please make sure your API Key is valid."
            raise Refusal(403, told, code="AccessDeniedException")
        return
    if not said:
        raise Refusal(
            403, "Missing Authentication Token", code="MissingAuthenticationTokenException"
        )
    _check_signature(request, said, _access_keys(keys), known=bool(keys))


def _bearers(keys: frozenset[bytes]) -> set[bytes]:
    return {key for key in keys if b":" not in key}


def _access_keys(keys: frozenset[bytes]) -> dict[str, AccessKey]:
    found = {}
    for key in keys:
        key_id, _, rest = key.decode("latin-1").partition(":")
        secret, _, token = rest.partition(":")
        if secret:
            found[key_id] = AccessKey(secret, token)
    return found


def _check_signature(
    request: SeenRequest, said: str, keys: dict[str, AccessKey], *, known: bool
) -> None:
    proof, stamp = _proof(said), _stamp(request)
    _check_scope(request, proof, stamp)
    _check_names(request, proof)
    if not known:
        return
    key = keys.get(proof.key_id)
    token = (request.header(b"x-amz-security-token") or b"").decode("latin-1")
    if key is None or token != key.token:
        told = "The security token included in the request is invalid."
        raise Refusal(403, told, code="UnrecognizedClientException")
    if not hmac.compare_digest(_signature(request, proof, stamp, key.secret), proof.signature):
        told = "The request signature we calculated does not match the signature you provided."
        raise Refusal(403, told, code="InvalidSignatureException")


def _proof(said: str) -> _Proof:
    found = _PROOF.fullmatch(said)
    if found is None:
        raise _incomplete("Authorization header requires Credential, SignedHeaders and Signature.")
    return _Proof(found["id"], found["scope"], found["names"].split(";"), found["signature"])


def _stamp(request: SeenRequest) -> str:
    stamp = (request.header(b"x-amz-date") or b"").decode("latin-1")
    if not _STAMP.fullmatch(stamp):
        raise _incomplete("Authorization header requires existence of a 'X-Amz-Date' header.")
    return stamp


def _check_scope(request: SeenRequest, proof: _Proof, stamp: str) -> None:
    parts = proof.scope.split("/")
    if len(parts) != 4 or parts[2:] != [_SERVICE, _LAST]:
        raise _incomplete(f"Credential should be scoped to correct service: '{_SERVICE}'.")
    if parts[0] != stamp[:8]:
        raise _incomplete("Date in Credential scope does not match YYYYMMDD from ISO-8601 version.")
    region = _REGION.search((request.header(b"host") or b"").decode("latin-1"))
    if region is not None and parts[1] != region[1]:
        raise _incomplete(f"Credential should be scoped to a valid region: '{region[1]}'.")


def _check_names(request: SeenRequest, proof: _Proof) -> None:
    """The host and all of AWS's own headers must be covered, in the order of their names."""
    own = {name.decode("latin-1") for name, _ in request.headers if name.startswith(b"x-amz-")}
    missing = sorted({"host", *own} - set(proof.names))
    if missing:
        raise _incomplete(f"'{missing[0]}' must be a 'SignedHeader' in the AWS Authorization.")
    if proof.names != sorted(set(proof.names)):
        raise _incomplete("SignedHeaders must be sorted and name each header once.")


def _signature(request: SeenRequest, proof: _Proof, stamp: str, secret: str) -> str:
    hashed = hashlib.sha256(_canonical(request, proof.names).encode()).hexdigest()
    text = "\n".join((_ALGORITHM, stamp, proof.scope, hashed))
    key = b"AWS4" + secret.encode()
    for step in proof.scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def _canonical(request: SeenRequest, names: list[str]) -> str:
    """The request as both sides write it down; the path is encoded once more than on the wire."""
    path, _, query = request.target.decode("latin-1").partition("?")
    headers = [f"{name}:{_value(request, name)}\n" for name in names]
    return "\n".join(
        (
            request.method.decode("latin-1"),
            quote(path, safe="/~"),
            "&".join(sorted(query.split("&"))),
            "".join(headers),
            ";".join(names),
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _value(request: SeenRequest, name: str) -> str:
    values = [value for known, value in request.headers if known == name.encode()]
    return ",".join(" ".join(value.decode("latin-1").split()) for value in values)


def _incomplete(message: str) -> Refusal:
    return Refusal(400, message, code="IncompleteSignatureException")

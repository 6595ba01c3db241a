"""AWS's signature (version 4) over one request, made by botocore's signer.

The signature covers method, path, host, time, body and the headers that say what these are; headers that a
transport may still change are left out of it. It holds for minutes only, so every attempt is signed anew.
botocore's own entry reads the clock, so its steps are taken here one by one with the time that we are given.
Source: "Signature Version 4 signing process" in the AWS General Reference.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]

from adapters.bedrock.aws_key import AwsKey
from adapters.dialect import EncodedRequest

Clock = Callable[[], float]

_SERVICE: Final = "bedrock"
_STAMP: Final = "%Y%m%dT%H%M%SZ"


class Signer:
    """Signs the requests to one origin, such as `https://bedrock-runtime.eu-west-1.amazonaws.com`.

    `clock` gives unix seconds. A signer has no state and may be used by many requests at once.
    """

    def __init__(
        self, key: AwsKey, *, region: str, origin: str, clock: Clock, service: str = _SERVICE
    ) -> None:
        self._key = key
        self._origin = origin
        self._clock = clock
        self._auth = SigV4Auth(key, service, region)

    def __repr__(self) -> str:
        return f"Signer({self._key!r}, {self._origin!r})"

    def __call__(self, request: EncodedRequest) -> EncodedRequest:
        """Return the request, a POST, with the headers that prove who sends it."""
        stamp = time.strftime(_STAMP, time.gmtime(self._clock()))
        proof = [("x-amz-date", stamp)]
        if self._key.token is not None:
            proof.append(("x-amz-security-token", self._key.token))
        proof.append(("authorization", self._authorization(request, proof, stamp)))
        added = [(name.encode(), value.encode()) for name, value in proof]
        return EncodedRequest(request.target, [*request.headers, *added], request.body)

    def _authorization(
        self, request: EncodedRequest, proof: list[tuple[str, str]], stamp: str
    ) -> str:
        signed = AWSRequest("POST", self._origin + request.target.decode(), data=request.body)
        signed.context["timestamp"] = stamp
        for name, value in [*_covered(request), *proof]:
            signed.headers[name] = value
        return self._proof_of(signed)

    def _proof_of(self, signed: Any) -> str:  # noqa: ANN401 - botocore has no types
        auth = self._auth
        text = auth.string_to_sign(signed, auth.canonical_request(signed))
        names = auth.signed_headers(auth.headers_to_sign(signed))
        credential = auth.scope(signed)
        signature = auth.signature(text, signed)
        return (
            f"AWS4-HMAC-SHA256 Credential={credential}, "
            f"SignedHeaders={names}, Signature={signature}"
        )


def _covered(request: EncodedRequest) -> list[tuple[str, str]]:
    """Return the headers that the signature covers besides its own: those that AWS demands."""
    named = [(name.decode().lower(), value.decode("latin-1")) for name, value in request.headers]
    return [
        (name, value)
        for name, value in named
        if name == "content-type" or name.startswith("x-amz-")
    ]

"""How a configured key proves who asks: by a header as it is, or by a signature over each request."""

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from adapters.bedrock.aws_key import read_aws_key, region_of
from adapters.bedrock.extra import make_signer
from adapters.dialect import EncodedRequest

Sign = Callable[[EncodedRequest], EncodedRequest]
_SIGNING = frozenset({"bedrock"})


class Credential(msgspec.Struct, frozen=True):
    """`value` goes out in the header of the key, unless `sign` is there. `secrets` are its hidden parts."""

    value: str
    secrets: tuple[str, ...]
    sign: Sign | None = None


def credential_of(
    dialect: str, key: str, *, base_url: str, clock: Callable[[], float] = time.time
) -> Credential:
    """Return what a key is to a dialect. `clock` gives unix seconds. Raises `MissingExtra`, `ValueError`."""
    access = read_aws_key(key) if dialect in _SIGNING else None
    if access is None:
        return Credential(key, (key,))
    parts = urlsplit(base_url)
    check_address(dialect, base_url)
    region = region_of(parts.hostname or "")
    sign = make_signer(
        access, region=region or "", origin=f"{parts.scheme}://{parts.netloc}", clock=clock
    )
    hidden = (access.secret_key, *([] if access.token is None else [access.token]))
    return Credential(key, (key, *hidden), sign)


def check_address(dialect: str, base_url: str) -> None:
    """Raise `ValueError` for an address that names no region, where signatures need one."""
    if dialect in _SIGNING and region_of(urlsplit(base_url).hostname or "") is None:
        raise ValueError(
            "the address names no region; "
            "expected one such as https://bedrock-runtime.eu-west-1.amazonaws.com"
        )

"""How a configured key proves who asks.

It goes out in a header as it is, it signs each request, or it is traded for a token that goes out instead.
"""

import ipaddress
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from adapters.bedrock.aws_key import read_aws_key, region_of
from adapters.bedrock.extra import make_signer
from adapters.dialect import EncodedRequest
from adapters.gemini.extra import check_account
from adapters.gemini.key_file import ServiceAccount, is_key_file, read_key_file

Sign = Callable[[EncodedRequest], EncodedRequest]
_SIGNING = frozenset({"bedrock"})
_TRADING = frozenset({"vertex"})
_NO_REGION = (
    "the address names no region; "
    "expected one such as https://bedrock-runtime.eu-west-1.amazonaws.com"
)


class Credential(msgspec.Struct, frozen=True):
    """`secrets` are its hidden parts.

    `value` goes out in the header of the key, unless `sign` is there, or an `account` whose token does.
    """

    value: str
    secrets: tuple[str, ...]
    sign: Sign | None = None
    account: ServiceAccount | None = None

    @property
    def is_sent(self) -> bool:
        """Whether the value itself goes out."""
        return self.sign is None and self.account is None


def credential_of(
    dialect: str, key: str, *, base_url: str, clock: Callable[[], float] = time.time
) -> Credential:
    """Return what a key is to a dialect. `clock` gives unix seconds. Raises `MissingExtra`, `ValueError`."""
    if dialect in _TRADING and is_key_file(key):
        account = read_key_file(key.encode())
        return Credential(key, (key, account.private_key), account=account)
    access = read_aws_key(key) if dialect in _SIGNING else None
    if access is None:
        return Credential(key, (key,))
    parts = urlsplit(base_url)
    region = region_of(parts.hostname or "")
    if region is None:
        raise ValueError(_NO_REGION)
    sign = make_signer(
        access, region=region, origin=f"{parts.scheme}://{parts.netloc}", clock=clock
    )
    hidden = (access.secret_key, *([] if access.token is None else [access.token]))
    return Credential(key, (key, *hidden), sign)


def check_key(dialect: str, key: str, *, base_url: str) -> None:
    """Raise `ValueError` for a key with which nothing could be asked; the message holds no part of it."""
    account = credential_of(dialect, key, base_url=base_url).account
    if account is not None:
        check_account(account)


def check_address(dialect: str, base_url: str) -> None:
    """Raise `ValueError` for an address that names no region, where signatures need one.

    One in figures is somebody's own, who may take keys that sign nothing (see `check_key`).
    """
    host = urlsplit(base_url).hostname or ""
    if dialect in _SIGNING and region_of(host) is None and not _is_in_figures(host):
        raise ValueError(_NO_REGION)


def _is_in_figures(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True

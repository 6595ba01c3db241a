"""The RSA signature of a service account's statement, made by a library that is loaded when it is needed.

PyJWT (with its `crypto` part) is optional: the gateway runs without it as long as no provider has a service
account's key file for a key. Whoever configures one calls `check_account` first.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.gemini.key_file import ServiceAccount

_LIBRARIES = ("jwt", "cryptography")


class MissingExtra(ValueError):
    """The optional library is not installed; the message says how to get it."""

    def __init__(self) -> None:
        super().__init__("a service account needs the extra 'vertex': pip install 'syzeai[vertex]'")


def check_account(account: "ServiceAccount") -> None:
    """Raise `MissingExtra` where nothing can sign, `BadKeyFile` for a private key that cannot be used."""
    signature_of(account, b"")


def signature_of(account: "ServiceAccount", statement: bytes) -> bytes:
    """Sign a statement (RS256). Raises `MissingExtra`, `BadKeyFile`."""
    if any(find_spec(library) is None for library in _LIBRARIES):
        raise MissingExtra
    from adapters.gemini.account_signer import sign  # noqa: PLC0415 - an optional library

    return sign(account.private_key, statement)

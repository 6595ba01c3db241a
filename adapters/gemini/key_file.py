"""The key file of one of Google's service accounts, as its console gives it out."""

from typing import Final
from urllib.parse import urlsplit

import msgspec

from adapters.openai.foreign import UNREADABLE

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


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


_decode_account: Final = msgspec.json.Decoder(ServiceAccount).decode


def read_key_file(text: bytes) -> ServiceAccount:
    """Read a key file. Raises `BadKeyFile`."""
    try:
        account = _decode_account(text)
    except msgspec.ValidationError as error:
        raise BadKeyFile(f"This is no service account's key file: {error}") from None
    except UNREADABLE:
        raise BadKeyFile("The key file is no JSON.") from None
    _check_address(account.token_uri)
    return account


def is_key_file(key: str) -> bool:
    """Tell whether a configured key is a key file's contents, and not a token."""
    return key.lstrip().startswith("{")


def _check_address(token_uri: str) -> None:
    """Refuse an address at which the statement could be read on its way; our own machine is no way."""
    parts = urlsplit(token_uri)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise BadKeyFile("The key file's 'token_uri' must begin with https://.")
    if not parts.hostname or parts.query or parts.fragment or parts.username is not None:
        raise BadKeyFile(
            "The key file's 'token_uri' must name a host and a path, and nothing else."
        )

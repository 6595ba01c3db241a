"""Finding the API key in a request's headers.

`Authorization: Bearer` is the documented place, `x-api-key` is accepted too. Some clients send both
(Continue does), and not always the same value, so both are tried.
"""

from collections.abc import Iterable, Iterator

from router.accounts.keyring import KeyRing
from router.accounts.keys import ApiKey
from router.errors import InvalidKey, MissingKey


def authenticate(headers: Iterable[tuple[bytes, bytes]], ring: KeyRing) -> ApiKey:
    """Return the key a request may use. Raises `MissingKey`, `InvalidKey`."""
    found = False
    for secret in _secrets(headers):
        found = True
        key = ring.authenticate(secret)
        if key is not None:
            return key
    raise InvalidKey if found else MissingKey


def _secrets(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.strip().partition(b" ")
            if scheme.lower() == b"bearer" and secret.strip():
                yield secret.strip()
        elif name == b"x-api-key" and value.strip():
            yield value.strip()

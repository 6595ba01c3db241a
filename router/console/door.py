"""Who is an operator: whoever shows the admin key of the configuration."""

import hashlib
import hmac
from collections.abc import Iterable

from router.config import Secret
from router.console.errors import AdminKeyInvalid


class OperatorDoor:
    """Compares what is shown with the admin key, in a time that tells nothing of either."""

    def __init__(self, key: Secret) -> None:
        self._digest = _digest(key.reveal().encode())

    def check(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Raise `AdminKeyInvalid` unless the key is shown as a bearer token; names are lower case."""
        for name, value in headers:
            scheme, _, shown = value.strip().partition(b" ")
            is_bearer = name == b"authorization" and scheme.lower() == b"bearer"
            # Digests have one length, so not even the key's length can be measured.
            if is_bearer and hmac.compare_digest(_digest(shown.strip()), self._digest):
                return
        raise AdminKeyInvalid


def _digest(value: bytes) -> bytes:
    return hashlib.sha256(value).digest()

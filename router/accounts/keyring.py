"""The keys that work right now, in memory: the only thing a request asks to learn who is calling.

The ring is replaced whole and never edited, so a reader sees the keys before a change or after it,
and no lock is needed between the task that reloads and the requests that read.

A caller controls the secret, and could measure how long a refusal takes. Two things leave nothing
to measure: what is looked up is the digest's first bytes, which a caller cannot steer towards a
stored digest without knowing the secret, and the digest itself is compared in constant time.
"""

import hmac
from collections.abc import Iterable, Mapping
from typing import Final

from router.accounts.keys import ApiKey, hash_key

MAX_SECRET_BYTES: Final = 256
_INDEX_BYTES: Final = 8


class KeyRing:
    """An immutable set of active keys behind one replaceable reference."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._shelves = _arrange(keys)

    def __len__(self) -> int:
        return sum(len(shelf) for shelf in self._shelves.values())

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Let exactly these keys work from now on. Revoked ones among them are left out."""
        self._shelves = _arrange(keys)

    def authenticate(self, secret: str | bytes) -> ApiKey | None:
        """Return the active key that `secret` opens, or None for anything else; never raises.

        What cannot be a key (over 256 bytes, or not ASCII) is refused before any hashing.
        """
        if len(secret) > MAX_SECRET_BYTES or not secret.isascii():
            return None
        digest = hash_key(secret)
        for key in self._shelves.get(digest[:_INDEX_BYTES], ()):
            if hmac.compare_digest(key.digest, digest):
                return key
        return None


def _arrange(keys: Iterable[ApiKey]) -> Mapping[bytes, list[ApiKey]]:
    shelves: dict[bytes, list[ApiKey]] = {}
    for key in keys:
        if key.revoked_at is None:
            shelves.setdefault(key.digest[:_INDEX_BYTES], []).append(key)
    return shelves

"""The keys that work right now, in memory: the only thing a request asks to learn who is calling.

The ring holds one picture of the store and is given another when that changes. No picture is ever
edited, so a reader sees the keys before a change or after it, and no lock is needed between the
task that reloads and the requests that read.

A caller controls the secret, and could measure how long a refusal takes. Two things leave nothing
to measure: what is looked up is the digest's first bytes, which a caller cannot steer towards a
stored digest without knowing the secret, and the digest itself is compared in constant time.

A key's end needs no change in the store, so it is the ring that looks at the clock.
"""

import time
from collections.abc import Callable
from typing import Final

from router.accounts.caller import Caller
from router.accounts.keys import hash_key
from router.accounts.snapshot import Snapshot

MAX_SECRET_BYTES: Final = 256


class KeyRing:
    """The picture in force at this moment, `snapshot`, behind one replaceable reference.

    `wall_clock` gives unix seconds.
    """

    def __init__(
        self, snapshot: Snapshot | None = None, *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self.snapshot = snapshot or Snapshot()
        self._wall_clock = wall_clock

    def __len__(self) -> int:
        return len(self.snapshot.callers)

    def replace(self, snapshot: Snapshot) -> None:
        """Let exactly the keys of this picture work from now on."""
        self.snapshot = snapshot

    def authenticate(self, secret: str | bytes) -> Caller | None:
        """Return whom `secret` belongs to, or None for anything else; never raises.

        A key that is revoked or expired, or whose account is closed, is anything else too. What
        cannot be a key (over 256 bytes, or not ASCII) is refused before any hashing.
        """
        return self.find(digest_of(secret))

    def find(self, digest: bytes | None) -> Caller | None:
        """Return whom the secret with this digest belongs to, like `authenticate`."""
        caller = self.snapshot.find(digest) if digest is not None else None
        if caller is None:
            return None
        expires_at = caller.key.expires_at
        if expires_at is not None and expires_at <= self._wall_clock():
            return None
        return caller


def digest_of(secret: str | bytes) -> bytes | None:
    """Return what a secret is looked up by, `None` for what cannot be a key."""
    if len(secret) > MAX_SECRET_BYTES or not secret.isascii():
        return None
    return hash_key(secret)

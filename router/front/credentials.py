"""Finding the API key in a request's headers.

`Authorization: Bearer` is the documented place, `x-api-key` is accepted too. Some clients send both
(Continue does), and not always the same value, so both are tried. What the key may be used for is
decided here too, so that no route can forget to ask.
"""

from collections.abc import Iterable, Iterator

from router.accounts.caller import Caller
from router.accounts.keyring import KeyRing, digest_of
from router.accounts.keys import Scope
from router.accounts.snapshot import Snapshot
from router.errors import InvalidKey, MissingKey, ScopeMissing


def authenticate(headers: Iterable[tuple[bytes, bytes]], ring: KeyRing, scope: Scope) -> Caller:
    """Return whom a request is from. Raises `MissingKey`, `InvalidKey`, `ScopeMissing`."""
    return Credentials(headers).identify(ring, scope)


class Credentials:
    """The secrets that came with a request, or with many whose headers are the same.

    Kept is what each secret is looked up by, and whom it belonged to in the picture that the ring had last. A
    picture never changes, so the answer holds until there is another; but a key that has an end is looked up
    each time, since its end needs no other picture.
    """

    __slots__ = ("_caller", "_digests", "_picture", "_scope")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._digests = [digest_of(secret) for secret in _secrets(headers)]
        self._picture: Snapshot | None = None
        self._scope: Scope | None = None
        self._caller: Caller | None = None

    def identify(self, ring: KeyRing, scope: Scope) -> Caller:
        """Return whom a request with these secrets is from, as of now. Raises as `authenticate` does."""
        if self._caller is not None and self._picture is ring.snapshot and self._scope == scope:
            return self._caller
        caller = self._look_up(ring, scope)
        lasts = caller.key.expires_at is None
        self._caller = caller if lasts else None
        self._picture, self._scope = ring.snapshot, scope
        return caller

    def _look_up(self, ring: KeyRing, scope: Scope) -> Caller:
        for digest in self._digests:
            caller = ring.find(digest)
            if caller is None:
                continue
            if not caller.key.allows(scope):
                raise ScopeMissing(scope, caller.key.scopes or ())
            return caller
        raise InvalidKey if self._digests else MissingKey


def _secrets(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.strip().partition(b" ")
            if scheme.lower() == b"bearer" and secret.strip():
                yield secret.strip()
        elif name == b"x-api-key" and value.strip():
            yield value.strip()

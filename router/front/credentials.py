"""Finding the API key in a request's headers.

`Authorization: Bearer` is the documented place, `x-api-key` is accepted too. Some clients send both
(Continue does), and not always the same value, so both are tried. What the key may be used for is
decided here too, so that no route can forget to ask.
"""

from collections.abc import Iterable, Iterator, Sequence

from router.accounts.caller import Caller
from router.accounts.keyring import KeyRing, digest_of
from router.accounts.keys import Scope
from router.errors import InvalidKey, MissingKey, ScopeMissing

Digests = Sequence[bytes | None]
"""What is looked up of each secret that came, `None` for what can be no key."""


def authenticate(headers: Iterable[tuple[bytes, bytes]], ring: KeyRing, scope: Scope) -> Caller:
    """Return whom a request is from. Raises `MissingKey`, `InvalidKey`, `ScopeMissing`."""
    return identify(digests_in(headers), ring, scope)


def digests_in(headers: Iterable[tuple[bytes, bytes]]) -> Digests:
    """Return the digests of the secrets that a request's headers carry."""
    return [digest_of(secret) for secret in _secrets(headers)]


def identify(digests: Digests, ring: KeyRing, scope: Scope) -> Caller:
    """Return whom a request with these secrets is from, as of now. Raises as `authenticate` does."""
    for digest in digests:
        caller = ring.find(digest)
        if caller is None:
            continue
        if not caller.key.allows(scope):
            raise ScopeMissing(scope, caller.key.scopes or ())
        return caller
    raise InvalidKey if digests else MissingKey


def _secrets(headers: Iterable[tuple[bytes, bytes]]) -> Iterator[bytes]:
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.strip().partition(b" ")
            if scheme.lower() == b"bearer" and secret.strip():
                yield secret.strip()
        elif name == b"x-api-key" and value.strip():
            yield value.strip()

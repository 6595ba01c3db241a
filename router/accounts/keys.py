"""What an API key is: a random secret that its owner holds, and a record that we hold.

The secret is shown once, when it is made. The record keeps only its digest, which recognises the
secret and cannot be turned back into it, and a hint: a few characters by which people tell their
keys apart.

A key belongs to an account and has terms of its own: limits, a budget, an end, and what it may be
used for. What its terms leave open, its account and tier decide.
"""

import hashlib
import secrets
import string
from typing import Final, Literal, get_args

import msgspec

from limiter.demand import Limits

PREFIX = "sk-syze-"
SECRET_LENGTH = 32
ID_PREFIX = "key_"
ID_LENGTH = 12
SHOWN = 4

_ALPHABET = string.ascii_letters + string.digits
_CHARACTERS = frozenset(_ALPHABET)


Scope = Literal["inference", "usage", "models"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
DEFAULT_ACCOUNT_ID: Final = "acc_default"


class KeyTerms(msgspec.Struct, frozen=True, kw_only=True):
    """On which terms a key is used; None leaves a thing open.

    `limits` go before those of the account's tier, which each key has otherwise. `hedge` decides for
    its requests what the configuration decides otherwise. `budget_nanodollars` is what it may spend
    in all. From `expires_at` (unix seconds) on it does not work. `scopes` are what it may be used
    for.
    """

    limits: Limits = Limits()
    hedge: bool | None = None
    budget_nanodollars: int | None = None
    expires_at: float | None = None
    scopes: tuple[Scope, ...] | None = None


class ApiKey(KeyTerms, frozen=True):
    """One key as the store knows it. Times are unix seconds; `revoked_at` is None while it works.

    The digest stays out of every printed form. Encoding the whole struct would include it, so what
    is shown to people or scripts picks its fields by name.
    """

    id: str
    name: str
    hint: str
    digest: bytes
    created_at: float
    revoked_at: float | None = None
    account_id: str = DEFAULT_ACCOUNT_ID

    def allows(self, scope: Scope) -> bool:
        """Tell whether the key may be used for this."""
        return self.scopes is None or scope in self.scopes

    def __repr__(self) -> str:
        shown = ", ".join(f"{field}={value!r}" for field, value in self.__rich_repr__())
        return f"ApiKey({shown})"

    def __rich_repr__(self) -> list[tuple[str, object]]:
        fields = ("id", "name", "hint", "created_at", "revoked_at")
        return [(field, getattr(self, field)) for field in fields]


def generate_key() -> str:
    """Make a new secret: the prefix and 32 random letters and digits, which is 190 bits."""
    return PREFIX + random_text(SECRET_LENGTH)


def generate_key_id() -> str:
    """Make a public id, safe to print, log and put into URLs. It opens nothing."""
    return ID_PREFIX + random_text(ID_LENGTH)


def hash_key(secret: str | bytes) -> bytes:
    """Return the 32-byte SHA-256 digest under which a secret is stored and looked up.

    A password needs a slow, salted hash because people choose from few of them: whoever steals the
    digests can try them all. These secrets are drawn evenly from 62**32, so there is nothing to
    try, however fast the hash, and no two are equal, so a salt would tell nothing apart. Slowness
    would buy nothing, and would be paid on every request. None of this holds for a secret that a
    person invented.
    """
    return hashlib.sha256(secret.encode() if isinstance(secret, str) else secret).digest()


def looks_like_key(text: str) -> bool:
    """Tell whether `text` has the exact shape of a secret, whether or not it opens anything."""
    body = text.removeprefix(PREFIX)
    return (
        text.startswith(PREFIX)
        and len(body) == SECRET_LENGTH
        and all(character in _CHARACTERS for character in body)
    )


def key_hint(secret: str) -> str:
    """Shorten a secret to what may be shown: `sk-syze-ab12…wxyz`. 143 bits stay unknown.

    Raises:
        ValueError: `secret` is not shaped like a key. Of a shorter text the same eight characters
            could be nearly all of it.
    """
    if not looks_like_key(secret):
        raise ValueError("only a whole API key has a hint")
    body = secret.removeprefix(PREFIX)
    return f"{PREFIX}{body[:SHOWN]}…{body[-SHOWN:]}"


def random_text(length: int) -> str:
    """Return so many random letters and digits, for ids and secrets."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
